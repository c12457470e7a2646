/**
 * What lets scripts of any web page call this server, as the SDK in a browser does (e2b-wire 3.1). Nothing that a browser
 * sends by itself is a credential here: keys and tokens are headers, which a script must know.
 */
import type { IncomingHttpHeaders } from 'node:http'

const allowedMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].join(', ')

/** How long a browser may keep a preflight's answer, in seconds. */
const maxAgeS = '7200'

/** Headers of the API's answers, and of refusals by any part, that a script may read. */
const apiHeaders = [
  'X-Next-Token',
  'X-Total-Running',
  'Retry-After',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Server-Timing',
]

/** A request as far as this looks at it. */
export interface CrossOriginRequest {
  method?: string | undefined
  headers: IncomingHttpHeaders
}

/** Whether a browser asks, before the request that it means, if a page's script may send it. */
export function isPreflight({ method, headers }: CrossOriginRequest): boolean {
  return (
    method === 'OPTIONS' &&
    headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
  )
}

/** The headers of the answer to a preflight, which is a 204. */
export function preflightHeaders({ headers }: CrossOriginRequest): Record<string, string> {
  // `*` would leave out Authorization, so what is asked for is allowed by name.
  const asked = headers['access-control-request-headers']
  return {
    'access-control-allow-origin': '*',
    ...(asked !== undefined && { 'access-control-allow-headers': asked }),
    'access-control-allow-methods': allowedMethods,
    'access-control-max-age': maxAgeS,
  }
}

/**
 * The headers of any other answer: none where no page asks. `exposed` are those of the answer that its script may read,
 * beside what browsers let it read anyway.
 */
export function corsHeaders(
  { headers }: Pick<CrossOriginRequest, 'headers'>,
  exposed: readonly string[] = apiHeaders,
): Record<string, string> {
  if (headers.origin === undefined) return {}
  return { 'access-control-allow-origin': '*', 'access-control-expose-headers': exposed.join(', ') }
}
