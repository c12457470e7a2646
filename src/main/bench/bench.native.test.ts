import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, expect, test } from 'vitest'
import type { Plan } from '../../bench/context.ts'
import { type Engine, openEngine } from '../../bench/engine.ts'
import { runMeasures } from '../../bench/run.ts'
import { baseImage, installationRoot } from '../installation.ts'
import { startBenchServer } from './server.ts'

const plan: Plan = {
  concurrency: [2],
  creates: 2,
  runs: 2,
  largeRuns: 1,
  largeMb: 1,
  idle: 3,
  settleMs: 100,
  pauseMs: 10,
}
const program = [join(installationRoot(), 'scripts/e2b-server.mjs')]
const runId = `test${process.pid}`
/** Where everything goes that it makes */
const folder = mkdtempSync(join(tmpdir(), 'e2b-'))
process.env.TMPDIR = folder

afterAll(() => rmSync(folder, { recursive: true }))

/** What runs with a state directory of a benchmark, or is mounted below one, goes with its folder. */
afterEach(async () => {
  expect(readdirSync(folder)).toEqual([])
  const { stdout } = await promisify(execFile)('docker', [
    'ps',
    '-aq',
    '--filter',
    `label=e2b-server.bench=${runId}`,
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
      ...['create.first', 'create.c2', 'kill.c2', 'first-command.c2', 'command.c2', 'file-read.c2', 'upload'],
      ...['pause.memory', 'resume.files', 'snapshot', 'fork', 'create.snapshot', 'create.warm'],
      ...['first-command.warm', 'memory.server', 'memory.each', 'idle.gone'],
    ]),
  )
  const withBaseline = figures.filter(({ baseline }) => baseline !== undefined).map(({ id }) => id)
  expect(withBaseline).toEqual(
    expect.arrayContaining(['create.c2', 'kill.c2', 'pause.memory', 'resume.files', 'snapshot', 'download']),
  )
  const kilobytes = figures.find(({ id }) => id === 'memory.each.processes')!.ours.p50
  expect(kilobytes).toBeGreaterThan(50)
}, 180_000)

test('Ctrl-C in the middle, which may come twice, leaves nothing', async () => {
  const args = [...program, 'bench', '--runtime', 'native', '--quick', '--only', 'copies,pauses']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.on('data', (text) => (said += text))
  child.stderr.on('data', (text) => {
    said += text
    if (!said.includes('measuring: ') || said.includes('Removing')) return
    child.kill('SIGINT')
    child.kill('SIGINT')
  })
  const [code] = await once(child, 'close')
  expect({ code, said }).toEqual({ code: 130, said: expect.stringContaining('Removing what was made') })
  expect(said).not.toContain('| measured')
}, 180_000)

async function requireEngine(signal: AbortSignal): Promise<Engine> {
  const engine = await openEngine({ image: baseImage(), runId, signal })
  if (typeof engine === 'string') throw new Error(engine)
  return engine
}
