/** What every RPC of envd knows of its request besides the message. */
import type { IncomingHttpHeaders } from 'node:http'
import { ConnectError, createContextKey, type HandlerContext } from '@connectrpc/connect'
import { toError } from '../../domain/error.ts'
import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import type { Log } from '../../lib/log.ts'
import { connectCode } from '../../wire/error-map.ts'
import { reportError } from '../report-error.ts'
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
  /** Whatever was thrown as what the client is told */
  toConnectError(thrown: unknown): ConnectError
}

/** Where the handlers find their `RpcCall`. */
export const rpcCallKey = createContextKey<RpcCall | undefined>(undefined)

export function createRpcCall(
  target: EnvdTarget,
  log: Log,
  { req, res }: { req: HttpRequest; res: HttpResponse },
): RpcCall {
  const user = basicUser(req.headers.authorization)
  return {
    ...createRequestScope(res, target.gone),
    target,
    headers: req.headers,
    user: user === undefined ? {} : { user },
    timeoutMs: parseTimeoutMs(req.headers['connect-timeout-ms']),
    keepaliveMs: parseKeepaliveMs(req.headers['keepalive-ping-interval']),
    toConnectError(thrown) {
      if (thrown instanceof ConnectError) return thrown
      const error = toError(thrown)
      reportError(log, target, error)
      return new ConnectError(error.message, connectCode(error.code))
    },
  }
}

function rpcCallOf(context: HandlerContext): RpcCall {
  const call = context.values.get(rpcCallKey)
  if (call === undefined) throw new Error('RPC handler called without an RpcCall')
  return call
}

/** A unary RPC: bounded by the client's time limit, its errors in Connect's terms. */
export function unary<Request, Response>(
  implement: (request: Request, call: RpcCall) => Promise<Response>,
): (request: Request, context: HandlerContext) => Promise<Response> {
  return async (request, context) => {
    const call = rpcCallOf(context)
    if (call.timeoutMs !== undefined) call.limit(call.timeoutMs)
    try {
      return await implement(request, call)
    } catch (thrown) {
      throw call.toConnectError(thrown)
    }
  }
}

/** Whether a `Connect-Timeout-Ms` header is one; the Connect library refuses any other. */
export function isTimeoutHeader(header: string | string[] | undefined): header is string {
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
