import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import type { Plan } from '../../bench/context.ts'
import { type Engine, openEngine } from '../../bench/engine.ts'
import { runMeasures } from '../../bench/run.ts'
import { baseImage, installationRoot } from '../installation.ts'
import { startBenchServer } from './server.ts'

const plan: Plan = { concurrency: [1, 2], runs: 2, largeRuns: 1, largeMb: 1, idle: 3, settleMs: 100 }
const program = [join(installationRoot(), 'scripts/e2b-server.mjs')]
const runId = `test${process.pid}`
const serversBefore = new Set(serverFolders())

afterEach(async () => {
  expect(serverFolders().filter((name) => !serversBefore.has(name))).toEqual([])
  expect(readFileSync('/proc/mounts', 'utf8')).not.toMatch(new RegExp(ownFolders()))
  const { stdout } = await promisify(execFile)('docker', [
    ...['ps', '-aq', '--filter', `label=e2b-server.bench=${runId}`],
  ])
  expect(stdout).toBe('')
})

test('everything is measured once, beside an engine, and nothing stays', async () => {
  const { signal } = new AbortController()
  const { figures, notes } = await runMeasures({
    ...{ kinds: ['cold', 'warm'], plan, runId, signal, say: () => {} },
    engine: await requireEngine(signal),
    open: (kind) => startBenchServer({ program, runtime: 'native', isWarm: kind === 'warm', signal }),
  })
  expect(notes).toEqual([])
  expect(figures.filter(({ ours, baseline }) => ours.failed + (baseline?.failed ?? 0) > 0)).toEqual([])
  expect(figures.filter(({ ours }) => !Number.isFinite(ours.p50))).toEqual([])
  const ids = figures.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids).toEqual(
    expect.arrayContaining([
      ...['create.c1', 'create.c2', 'kill.c2', 'first-command.c2', 'command.c2', 'file-read.c2', 'upload'],
      ...['pause.memory', 'resume.files', 'snapshot', 'fork', 'create.snapshot', 'create.warm'],
      ...['first-command.warm', 'memory.server', 'memory.each', 'idle.gone'],
    ]),
  )
  const withBaseline = figures.filter(({ baseline }) => baseline !== undefined).map(({ id }) => id)
  expect(withBaseline).toEqual(
    expect.arrayContaining(['create.c2', 'kill.c1', 'pause.memory', 'resume.files', 'snapshot', 'download']),
  )
  const kilobytes = figures.find(({ id }) => id === 'memory.each.processes')!.ours.p50
  expect(kilobytes).toBeGreaterThan(50)
}, 180_000)

test('broken off in the middle it leaves nothing', async () => {
  const over = new AbortController()
  const pids: number[] = []
  const broken = runMeasures({
    ...{ kinds: ['cold', 'warm'], plan, runId, signal: over.signal },
    engine: await requireEngine(new AbortController().signal),
    say: (line) => {
      if (line === 'pauses and resumes') over.abort(new Error('enough'))
    },
    async open() {
      const server = await startBenchServer({
        program,
        runtime: 'native',
        isWarm: false,
        signal: over.signal,
      })
      pids.push(...server.processes!.server())
      return server
    },
  })
  await expect(broken).rejects.toThrow('enough')
  expect(pids.length).toBeGreaterThan(2)
  expect(pids.filter((pid) => isServer(pid))).toEqual([])
}, 180_000)

async function requireEngine(signal: AbortSignal): Promise<Engine> {
  const engine = await openEngine({ image: baseImage(), runId, signal })
  if (typeof engine === 'string') throw new Error(engine)
  return engine
}

function ownFolders(): string {
  return `${tmpdir()}/e2b-bench-server-`
}

/** State directories of benchmarks' servers. */
function serverFolders(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('e2b-bench-'))
}

function isServer(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('e2b-')
  } catch {
    return false
  }
}
