/** Which headers cross the edge. Raw lists of names and values, so that order, spelling and repeats stay. */
import type { IncomingMessage } from 'node:http'

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
/** What routed the request means nothing inside. */
const routing = ['e2b-sandbox-id', 'e2b-sandbox-port']
/** Set by the edge itself, once. */
const ownRequestHeaders = ['host', 'x-forwarded-for']
/** What a `Connection` header can't have removed: it decides how the message is read. */
const fixed = ['content-length', 'host']

const droppedFromRequests = new Set([...hopByHop, ...routing, ...ownRequestHeaders])
const droppedFromAnswers = new Set(hopByHop)

/** Methods whose requests have no body unless they say so; others without one have a length of zero. */
const bodilessMethods = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/** The headers that a request goes into the sandbox with. */
export function requestHeaders(req: IncomingMessage): string[] {
  const headers = ['Host', req.headers.host ?? 'localhost']
  copy(req, droppedFromRequests, headers)

  const coding = req.headers['transfer-encoding']
  if (coding !== undefined) headers.push('Transfer-Encoding', coding)
  else if (req.headers['content-length'] === undefined && !bodilessMethods.has(req.method ?? '')) {
    headers.push('Content-Length', '0')
  }

  const before = req.headers['x-forwarded-for']
  const client = req.socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown'
  headers.push('X-Forwarded-For', before === undefined ? client : `${before}, ${client}`)
  if (req.headers['x-forwarded-host'] === undefined && req.headers.host !== undefined) {
    headers.push('X-Forwarded-Host', req.headers.host)
  }
  if (req.headers['x-forwarded-proto'] === undefined) {
    headers.push('X-Forwarded-Proto', 'encrypted' in req.socket ? 'https' : 'http')
  }
  return headers
}

/** The headers of a request that asks for an upgrade. */
export function upgradeHeaders(req: IncomingMessage): string[] {
  return [...requestHeaders(req), 'Connection', 'Upgrade', 'Upgrade', req.headers.upgrade ?? '']
}

/** The headers that an answer goes to the client with. */
export function answerHeaders(answer: IncomingMessage): string[] {
  const headers: string[] = []
  copy(answer, droppedFromAnswers, headers)
  return headers
}

/** Whether a request announces a body. */
export function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0
}

/** The members of a header that is a comma-separated list, in lower case. */
export function tokens(header: string | undefined): string[] {
  return (header ?? '').split(',').map((token) => token.trim().toLowerCase())
}

function copy(from: IncomingMessage, dropped: ReadonlySet<string>, headers: string[]): void {
  const named = namedByConnection(from)
  const { rawHeaders } = from
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (!dropped.has(name) && !named?.includes(name)) headers.push(rawHeaders[i]!, rawHeaders[i + 1]!)
  }
}

function namedByConnection(from: IncomingMessage): string[] | undefined {
  const connection = from.headers.connection
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return tokens(connection).filter((token) => !fixed.includes(token))
}
