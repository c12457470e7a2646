/** `e2b-server bench` as a command: its flags, its signals and where it prints. */
import type { BenchRequest, Flags } from '../../cli/actions.ts'
import { ConfigError } from '../config.ts'
import { ownProgram } from '../installation.ts'
import { bench } from './bench.ts'

const idleMax = 10_000

/** Until it is done, or Ctrl-C has made it remove what it made; a second signal ends the process at once. */
export async function benchUntilSignal(flags: Flags): Promise<void> {
  const request = benchRequest(flags)
  const over = new AbortController()
  const stop = () => {
    if (over.signal.aborted) process.exit(1)
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
  const url = text('url')
  if (url !== undefined && !URL.canParse(url))
    throw new ConfigError('--url must be an address, as http://localhost:3000.')
  return {
    url,
    sandboxUrl: text('sandboxUrl'),
    apiKey: text('apiKey') ?? env.E2B_API_KEY,
    runtime: text('runtime') ?? env.E2B_SERVER_RUNTIME ?? 'auto',
    isQuick: flags.quick === true,
    idle: idle === undefined ? undefined : Number(idle),
    json: text('json'),
    svg: text('svg'),
    compare: text('compare'),
  }
}
