/** `e2b-server bench` as a command: its flags, its signals and where it prints. */
import { setMaxListeners } from 'node:events'
import { measures } from '../../bench/run.ts'
import type { BenchRequest, Flags } from '../../cli/actions.ts'
import { ConfigError, runtimeFlag } from '../config.ts'
import { ownProgram } from '../installation.ts'
import { letHeapGrow } from '../small-heap.ts'
import { bench } from './bench.ts'

const idleMax = 10_000
/** Signals that come within this time of one are the same one, in milliseconds */
const sameMs = 1000
/** What may wait for the signal at once without it being taken for a leak: a hundred commands, and what goes with them */
const listenersMax = 256

/** Until it is done, or Ctrl-C has made it remove what it made; a second signal ends the process at once. */
export async function benchUntilSignal(flags: Flags): Promise<void> {
  const request = benchRequest(flags)
  const over = new AbortController()
  setMaxListeners(listenersMax, over.signal)
  letHeapGrow()
  let stoppedAt = 0
  const stop = () => {
    // What npm or a shell passes on besides is the same Ctrl-C.
    if (over.signal.aborted && performance.now() - stoppedAt > sameMs) process.exit(1)
    if (over.signal.aborted) return
    stoppedAt = performance.now()
    console.error('Removing what was made; once more to leave it.')
    over.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, stop)
  try {
    await bench(request, {
      program: ownProgram(),
      signal: over.signal,
      print: (line) => console.log(line),
      progress: (line) => console.error(`… ${line}`),
    })
  } catch (error) {
    if (!over.signal.aborted) throw error
    process.exitCode = 130
  } finally {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, stop)
  }
}

/** Errors: `ConfigError` with a sentence for the user. */
function benchRequest(flags: Flags, env: NodeJS.ProcessEnv = process.env): BenchRequest {
  const text = (name: string) => (flags[name] === undefined ? undefined : String(flags[name]))
  const idle = text('idle')
  if (idle !== undefined && !(/^\d{1,5}$/.test(idle) && Number(idle) <= idleMax)) {
    throw new ConfigError(`--idle must be 0 … ${idleMax}.`)
  }
  const only = text('only')?.split(',')
  const known = new Set(Object.values(measures).flatMap((each) => Object.keys(each)))
  const unknown = only?.find((name) => !known.has(name))
  if (unknown !== undefined)
    throw new ConfigError(`--only knows ${[...known].join(', ')}, and no ${unknown}.`)
  const runtime = runtimeFlag.safeParse(text('runtime') ?? env.E2B_SERVER_RUNTIME ?? 'auto')
  if (!runtime.success) throw new ConfigError(runtime.error.issues.map(({ message }) => message).join('. '))
  const url = text('url')
  if (url !== undefined && !URL.canParse(url))
    throw new ConfigError('--url must be an address, as http://localhost:3000.')
  return {
    url,
    sandboxUrl: text('sandboxUrl'),
    apiKey: text('apiKey') ?? env.E2B_API_KEY,
    runtime: runtime.data,
    isQuick: flags.quick === true,
    only,
    idle: idle === undefined ? undefined : Number(idle),
    json: text('json'),
    svg: text('svg'),
    compare: text('compare'),
  }
}
