import type { ServerError } from '../domain/error.ts'
import type { Log } from '../lib/log.ts'
import type { EnvdTarget } from './target.ts'

/** How writing to a client that has left fails. */
const clientLeft = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']

/** Logs an error whose cause the client isn't told. */
export function reportError(log: Log, target: EnvdTarget, error: ServerError): void {
  if (error.code !== 'internal' || error.cause === undefined) return
  const { code } = error.cause as { code?: unknown }
  if (typeof code === 'string' && clientLeft.includes(code)) return
  log.error({ sandboxId: target.sandboxId, err: error.cause }, 'envd could not serve a request')
}
