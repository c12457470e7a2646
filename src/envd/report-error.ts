import type { ServerError } from '../domain/error.ts'
import type { Log } from '../lib/log.ts'
import type { EnvdTarget } from './target.ts'

/** Logs an error whose cause the client isn't told. */
export function reportError(log: Log, target: EnvdTarget, error: ServerError): void {
  if (error.code !== 'internal' || error.cause === undefined) return
  log.error({ sandboxId: target.sandboxId, err: error.cause }, 'envd could not serve a request')
}
