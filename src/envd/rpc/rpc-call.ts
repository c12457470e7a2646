/** What every RPC of envd knows of its request besides the message. */
import type { IncomingHttpHeaders } from 'node:http'
import { Code, ConnectError } from '@connectrpc/connect'
import { toError } from '../../domain/error.ts'
import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import type { ByteAccount } from '../../lib/byte-budget.ts'
import { connectCode } from '../../wire/error-map.ts'
import type { EnvdLog } from '../envd-log.ts'
import { type Load, takeTurn } from '../load.ts'
import { createRequestScope, type RequestScope } from '../request-scope.ts'
import type { EnvdTarget } from '../target.ts'

export interface RpcCall extends RequestScope {
  target: EnvdTarget
  headers: IncomingHttpHeaders
  /** Who the operation is for; absent: the sandbox's default user */
  user: { user?: string }
  /** The client's time limit in milliseconds, if it set one */
  timeoutMs: number | undefined
  /** Silence after which a stream says that it lives, in milliseconds */
  keepaliveMs: number
  /** What the request itself holds of the memory that all share; closed with the response at the latest */
  account: ByteAccount
  /** Resolves when a step that is long enough to be felt may be made. Errors: `resource_exhausted`; the signal's reason. */
  turn(): Promise<void>
  /** Whatever was thrown as what the client is told */
  toConnectError(thrown: unknown): ConnectError
}

export function createRpcCall(
  target: EnvdTarget,
  { log, load }: { log: EnvdLog; load: Load },
  { req, res }: { req: HttpRequest; res: HttpResponse },
): RpcCall {
  const user = basicUser(req.headers.authorization)
  const scope = createRequestScope(res, target.gone)
  const account = load.memory.open(target.sandboxId)
  scope.signal.addEventListener('abort', account.close, { once: true })
  return {
    ...scope,
    account,
    turn: () => takeTurn(load, target, scope.signal),
    target,
    headers: req.headers,
    user: user === undefined ? {} : { user },
    timeoutMs: parseTimeoutMs(req.headers['connect-timeout-ms']),
    keepaliveMs: parseKeepaliveMs(req.headers['keepalive-ping-interval']),
    toConnectError(thrown) {
      if (thrown instanceof ConnectError) return thrown
      const error = toError(thrown)
      log.report(target, error)
      const headers = error.retryAfterS === undefined ? {} : { 'retry-after': String(error.retryAfterS) }
      return new ConnectError(error.message, connectCode(error.code), headers)
    },
  }
}

/** Errors, as `ConnectError`: `invalid_argument` for a header that is no time limit. */
export function checkTimeout(header: string | string[] | undefined): void {
  if (header === undefined || isTimeoutHeader(header)) return
  throw new ConnectError('Connect-Timeout-Ms must be a number of milliseconds.', Code.InvalidArgument)
}

/** Whether a `Connect-Timeout-Ms` header is one. */
function isTimeoutHeader(header: string | string[] | undefined): header is string {
  return typeof header === 'string' && /^\d{1,10}$/.test(header)
}

/** The `Connect-Timeout-Ms` header: absent and 0 mean no limit. */
export function parseTimeoutMs(header: string | string[] | undefined): number | undefined {
  if (!isTimeoutHeader(header) || Number(header) === 0) return undefined
  return Number(header)
}

const keepaliveDefaultS = 90
const keepaliveMaxS = 3600

/** The `Keepalive-Ping-Interval` header, in seconds (e2b-wire 3.1), as milliseconds within 1 s … 1 h. */
export function parseKeepaliveMs(header: string | string[] | undefined): number {
  const seconds = typeof header === 'string' && /^\d{1,10}$/.test(header) ? Number(header) : keepaliveDefaultS
  return Math.min(Math.max(seconds, 1), keepaliveMaxS) * 1000
}

/** The user name of an `Authorization: Basic` header; the password means nothing (e2b-wire 3.1). */
export function basicUser(header: string | undefined): string | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(header ?? '')?.[1]
  if (encoded === undefined) return undefined
  const user = Buffer.from(encoded, 'base64').toString('utf8').split(':', 1)[0]
  return user === '' ? undefined : user
}
