import { cors as connectCors } from '@connectrpc/connect'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { replayFromHeader } from './process/replay.ts'

const allowedMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].join(', ')

/** Response headers that scripts of other origins may read. */
const exposedHeaders = [
  'Location',
  'Cache-Control',
  'X-Content-Type-Options',
  'Content-Disposition',
  'Content-Range',
  replayFromHeader,
  ...connectCors.exposedHeaders,
].join(', ')

/** How long a browser may keep a preflight's answer, in seconds. */
const maxAgeS = 7200

/**
 * Lets scripts of any origin call envd, as the SDK in a browser does (e2b-wire 3.1): the token is what protects it.
 * Answers preflights, and says whether the request was one.
 */
export function applyCors(req: HttpRequest, res: HttpResponse): boolean {
  if (req.headers.origin === undefined) return false
  res.setHeader('access-control-allow-origin', '*')
  if (req.method !== 'OPTIONS' || req.headers['access-control-request-method'] === undefined) {
    res.setHeader('access-control-expose-headers', exposedHeaders)
    return false
  }
  // `*` would leave out Authorization, so what is asked for is allowed by name.
  const headers = req.headers['access-control-request-headers']
  if (headers !== undefined) res.setHeader('access-control-allow-headers', headers)
  res.setHeader('access-control-allow-methods', allowedMethods)
  res.setHeader('access-control-max-age', maxAgeS)
  res.writeHead(204).end()
  return true
}
