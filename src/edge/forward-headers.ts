/** Which headers cross the edge. Raw lists of names and values, so that order, spelling and repeats stay. */
import type { HttpRequest } from '../domain/http.ts'
import { trafficTokenHeader } from './answer.ts'
import { http2StreamOf } from './connection-of.ts'
import type { AnswerHead } from './upstream/answer-head.ts'

/** What concerns one connection only (RFC 9110 7.6.1), and the framing of bodies, which is made anew. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
/** What routed the request means nothing inside, and what let it in is nobody's business there. */
const routing = ['e2b-sandbox-id', 'e2b-sandbox-port', trafficTokenHeader]
/** Set by the edge itself, once. */
const ownRequestHeaders = ['host', 'x-forwarded-for']
/** What a `Connection` header can't have removed: it decides how the message is read, or who is told to have sent it. */
const fixed = ['content-length', 'host', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']

const droppedFromRequests = new Set([...hopByHop, ...routing, ...ownRequestHeaders])
const droppedFromAnswers = new Set(hopByHop)

/** Methods whose requests have no body unless they say so; others without one have a length of zero. */
const bodilessMethods = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/**
 * The headers that a request goes into the sandbox with. `mask`: the `Host` to send instead of the one that was asked
 * for; then `X-Forwarded-Host` is the latter, whatever the client says. An upgrade has no body.
 */
export function requestHeaders(
  req: HttpRequest,
  mask: string | null,
  { isUpgrade = false }: { isUpgrade?: boolean } = {},
): string[] {
  const asked = req.headers.host
  const headers = ['Host', mask ?? asked ?? 'localhost']
  const isHttp2 = http2StreamOf(req) !== undefined
  copyFromRequest(req, headers, { isHttp2, isMasked: mask !== null })

  if (!isUpgrade) pushFraming(req, headers)

  const before = req.headers['x-forwarded-for']
  const client = req.socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown'
  headers.push('X-Forwarded-For', before === undefined ? client : `${before}, ${client}`)
  if ((mask !== null || req.headers['x-forwarded-host'] === undefined) && asked !== undefined) {
    headers.push('X-Forwarded-Host', asked)
  }
  if (req.headers['x-forwarded-proto'] === undefined) {
    headers.push('X-Forwarded-Proto', 'encrypted' in req.socket ? 'https' : 'http')
  }
  return headers
}

/** The headers that an answer goes to the client with. */
export function answerHeaders({ rawHeaders, names, connection }: AnswerHead): string[] {
  const headers: string[] = []
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    if (droppedFromAnswers.has(name) || isNamed(name, connection)) continue
    headers.push(rawHeaders[2 * i]!, rawHeaders[2 * i + 1]!)
  }
  return headers
}

/** A raw list as HTTP/2 takes it: names in lower case and once each. Only cookies can't share a line (RFC 9110 5.3). */
export function joinHeaders(raw: readonly string[]): Record<string, string | string[]> {
  const joined: Record<string, string | string[]> = Object.create(null)
  const cookies: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    const value = raw[i + 1]!
    if (name === 'set-cookie') cookies.push(value)
    else joined[name] = name in joined ? `${joined[name]}, ${value}` : value
  }
  if (cookies.length > 0) joined['set-cookie'] = cookies
  return joined
}

/** Whether a request announces a body. */
export function hasBody(req: HttpRequest): boolean {
  return isChunked(req) || Number(req.headers['content-length'] ?? 0) > 0
}

/** Whether a request has a body without a length. */
export function isChunked(req: HttpRequest): boolean {
  const stream = http2StreamOf(req)
  if (stream === undefined) return req.headers['transfer-encoding'] !== undefined
  return !stream.endAfterHeaders && req.headers['content-length'] === undefined
}

/** The members of a header that is a comma-separated list, in lower case. */
export function tokens(header: string | undefined): string[] {
  return (header ?? '').split(',').map((token) => token.trim().toLowerCase())
}

/** How the end of a body is found, where the client's own headers don't say it. */
function pushFraming(req: HttpRequest, headers: string[]): void {
  if (isChunked(req)) headers.push('Transfer-Encoding', req.headers['transfer-encoding'] ?? 'chunked')
  else if (req.headers['content-length'] === undefined && !bodilessMethods.has(req.method ?? '')) {
    headers.push('Content-Length', '0')
  }
}

function copyFromRequest(
  req: HttpRequest,
  headers: string[],
  { isHttp2, isMasked }: { isHttp2: boolean; isMasked: boolean },
): void {
  const named = namedByConnection(req.headers.connection)
  const { rawHeaders } = req
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (droppedFromRequests.has(name) || isNamed(name, named)) continue
    if (isMasked && name === 'x-forwarded-host') continue
    if (isHttp2 && (name.startsWith(':') || name === 'cookie' || name === 'sec-websocket-key')) continue
    headers.push(rawHeaders[i]!, rawHeaders[i + 1]!)
  }
  // HTTP/2 may split cookies, which HTTP/1.1 doesn't know (RFC 9113 8.2.3). Node has joined them.
  if (isHttp2 && req.headers.cookie !== undefined) headers.push('Cookie', req.headers.cookie)
}

function namedByConnection(header: string | undefined): readonly string[] {
  return header === undefined || header === 'keep-alive' || header === 'close' ? [] : tokens(header)
}

function isNamed(name: string, connection: readonly string[]): boolean {
  return connection.length > 0 && connection.includes(name) && !fixed.includes(name)
}
