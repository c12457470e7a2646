/** What `e2b-server logs` shows. */
import type { LogLines, LogRequest } from '../../cli/actions.ts'
import type { Store } from '../../domain/store.ts'
import { ConfigError } from '../config.ts'
import { logLines } from './read-log.ts'
import { createReadable } from './readable.ts'
import { sandboxLines } from './sandbox-lines.ts'
import { serverLogPath } from './server-log.ts'

/** Most lines that can be asked for at once. */
const countMax = 100_000

/**
 * Lines without their newlines. Errors: `ConfigError` for a wrong number or where no server ever ran, `not_found` for an
 * unknown sandbox.
 */
export async function* readLogs(
  { stateDir, store }: { stateDir: string; store: Store | undefined },
  { sandboxId, lines, json, follow, colors }: LogRequest & { follow?: AbortSignal; colors: boolean },
): LogLines {
  const count = Number(lines)
  if (!/^\d+$/.test(lines) || count > countMax) {
    throw new ConfigError(`--lines must be a whole number of at most ${countMax}.`)
  }
  if (store === undefined) {
    throw new ConfigError(`No server has run with ${stateDir} yet: name the --state-dir.`)
  }
  const range = { count, ...(follow && { follow }) }
  const found =
    sandboxId === undefined
      ? logLines(serverLogPath(stateDir), range)
      : sandboxLines({ store }, sandboxId, range)
  const format = json ? (line: string) => line : await createReadable({ colors })
  for await (const line of found) yield format(line).trimEnd()
}
