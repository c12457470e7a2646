/** Servers that the benchmark starts for itself: the program as users start it, with a state directory of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { processTree } from '../../bench/memory.ts'
import type { BenchServer } from '../../bench/run.ts'
import { sleep } from '../../lib/deadline.ts'
import { readIfThere, readServerInfo } from '../state-dir.ts'

/** How long a start may take, which may have to unpack an image, and an end, in milliseconds */
const startMs = 180_000
const endMs = 180_000
const lookMs = 20
/** How long a guest may take to be started ahead, in milliseconds */
const warmMs = 30_000
/** Most that is kept of what it prints, in characters */
const printedMax = 16_384

export interface ServerOptions {
  /** Starts the program, as arguments of this Node.js */
  program: readonly string[]
  runtime: string
  isWarm: boolean
  signal: AbortSignal
}

/** Resolves when it takes requests. Errors: what it has printed. */
export async function startBenchServer({
  program,
  runtime,
  isWarm,
  signal,
}: ServerOptions): Promise<BenchServer & { runtime: string }> {
  const stateDir = await mkdtemp(join(tmpdir(), 'e2b-bench-server-'))
  const flags = [
    ...['start', '--port', '0', '--debug-port', '0', '--state-dir', stateDir, '--runtime', runtime],
    ...['--log-level', 'info', '--log-format', 'json', '--destroy-on-exit'],
    ...(isWarm ? [] : ['--warm-memory-mb', '0']),
  ]
  const [file, ...args] = endingWithUs([process.execPath, ...program, ...flags])
  // In a group of its own: Ctrl-C is for the benchmark, which ends the server once it has asked it to remove everything.
  const child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const ended = once(child, 'close')
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-printedMax)
    })
  }
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), endMs)
    await ended
    clearTimeout(timer)
    // The helper ends by itself once nobody is connected, and lets go of what it has mounted there.
    await rm(stateDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
  }
  try {
    const deadline = performance.now() + startMs
    let info = readServerInfo(stateDir)
    while (info?.url == null || info.reach === undefined) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        throw new Error(`the server did not start:\n${printed}`)
      }
      await sleep(lookMs, signal)
      info = readServerInfo(stateDir)
    }
    const { url } = info
    const used = /"runtime":"(\w+)"/.exec(await readFile(join(stateDir, 'server.log'), 'utf8'))?.[1]
    const apiKey = (await readFile(join(stateDir, 'api-key'), 'utf8')).trim()
    const token = (await readFile(join(stateDir, 'admin-token'), 'utf8')).trim()
    return {
      runtime: used ?? runtime,
      connection: { url, sandboxUrl: url, apiKey },
      processes: mayReadMemory() ? processTree(child.pid!, used === 'docker') : undefined,
      untilWarm: isWarm ? () => untilWarm(url, token, signal) : undefined,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What others' processes hold is root's to read. */
function mayReadMemory(): boolean {
  return process.getuid?.() === 0 && readIfThere('/proc/self/smaps_rollup') !== undefined
}

/** Where the machine has `setpriv`, the server is ended by the kernel when this process is killed. */
function endingWithUs(command: string[]): string[] {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const setpriv = folders.map((folder) => join(folder, 'setpriv')).find((path) => existsSync(path))
  return setpriv === undefined ? command : [setpriv, '--pdeathsig', 'TERM', ...command]
}

/** Until a guest of `base` waits and none is being started. */
async function untilWarm(url: string, token: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + warmMs
  const headers = { 'x-admin-token': token }
  for (;;) {
    const answer = await fetch(`${url}/metrics`, { headers, signal })
    const text = await answer.text()
    const count = (state: string) => {
      const lines = text.split('\n').filter((line) => line.startsWith('e2b_warm_guests{'))
      const line = lines.find((each) => each.includes('"base"') && each.includes(`"${state}"`))
      return Number(line?.split(' ').at(-1) ?? 0)
    }
    if (count('waiting') > 0 && count('starting') === 0) return
    if (performance.now() > deadline) throw new Error('no guest is started ahead')
    await sleep(lookMs, signal)
  }
}
