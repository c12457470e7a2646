/** Which sandbox a request reaches, by whatever its head says. */
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EdgeFixture, startEdge } from '../../src/edge/edge.fixture.ts'
import { routeOf } from '../../src/edge/route.ts'
import { within } from './support/bytes.ts'
import { fuzz } from './support/fuzz.ts'

const ids = ['ialpha', 'ibeta', 'i0']

const part = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('49983', '3000', '0', '65536', '-', '.', ':', '[', ']', ...ids) },
  fc.constantFrom(
    'sandbox',
    'localhost',
    '127.0.0.1',
    'api.',
    'x',
    'A',
    ' ',
    '\t',
    ',',
    '@',
    '/',
    '%2e',
    '::1',
  ),
  fc.string({ maxLength: 5 }),
  fc.string({ maxLength: 5, unit: 'binary' }),
)
const hostile = fc.array(part, { maxLength: 7 }).map((parts) => parts.join(''))
const host = fc.oneof(
  hostile,
  fc.constantFrom(
    'localhost',
    '127.0.0.1:3000',
    '[::1]',
    'sandbox.x.y',
    ...ids.map((id) => `49983-${id}.localhost`),
  ),
)
const headerValue = fc.oneof(fc.constantFrom(...ids, '49983', '3000'), hostile)

test('routes: total, and a sandbox is only ever one that was named', () =>
  fuzz({
    name: 'routes',
    input: fc.record({
      host: fc.option(host, { nil: null }),
      id: fc.option(headerValue, { nil: null }),
      port: fc.option(headerValue, { nil: null }),
      domain: fc.option(hostile, { nil: null }),
    }),
    check({ host: named, id, port, domain }) {
      const route = routeOf(
        { host: named ?? undefined, sandboxIdHeader: id ?? undefined, sandboxPortHeader: port ?? undefined },
        { domain: domain ?? undefined },
      )
      if (route.kind === 'error') expect(route.status).toBe(400)
      if (route.kind !== 'sandbox') return
      expect(route.sandboxId).toMatch(/^[a-z0-9]{1,63}$/)
      expect(route.port).toBeGreaterThanOrEqual(1)
      expect(route.port).toBeLessThanOrEqual(65_535)
      const label = (named ?? '').toLowerCase().split('.')[0]!
      const byName = label.startsWith(`${route.port}-${route.sandboxId}`)
      const byHeader = id === route.sandboxId && port === String(route.port)
      expect(byName || byHeader).toBe(true)
      if (/^\d+-[a-z0-9]+$/.test(label) && !byHeader) expect(byName).toBe(true)
    },
  }))

let edge: EdgeFixture
let session: ClientHttp2Session | undefined
beforeAll(async () => {
  edge = await startEdge()
  for (const id of ids) edge.addSandbox(id, (_req, res) => void res.end(`<${id}>`))
})
afterAll(() => {
  session?.destroy()
  return edge[Symbol.asyncDispose]()
})

interface Head {
  /** Names and values, in their order and as they are sent */
  headers: { name: string; value: string }[]
  target: string
}

const head: fc.Arbitrary<Head> = fc.record({
  target: fc.constantFrom(
    '/',
    '/health',
    'http://49983-ibeta.localhost/',
    '*',
    '/\r\nHost: 49983-i0.x',
    '//x',
  ),
  headers: fc.array(
    fc.oneof(
      host.map((value) => ({ name: 'Host', value })),
      headerValue.map((value) => ({ name: 'E2b-Sandbox-Id', value })),
      headerValue.map((value) => ({ name: 'E2b-Sandbox-Port', value })),
      fc.record({
        name: fc.constantFrom(
          'host',
          'HOST',
          'e2b-sandbox-id',
          'X-Forwarded-Host',
          'Host ',
          ' Host',
          'Connection',
        ),
        value: hostile,
      }),
    ),
    { maxLength: 6 },
  ),
})

test('heads: over the network, too, nobody but who was named answers', () =>
  fuzz({
    name: 'heads',
    input: head,
    async check({ headers, target }) {
      const lines = [`GET ${target} HTTP/1.1`, ...headers.map(({ name, value }) => `${name}: ${value}`)]
      const answer = await exchange(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`)
      expect(answer).toMatch(/^(HTTP\/1\.1 [1-5]\d\d |$)/)
      expect(answer).not.toMatch(/^HTTP\/1\.1 500 /)
      const served = /<(i[a-z0-9]+)>/.exec(answer)?.[1]
      if (served === undefined) return
      const said = lines.slice(1).join('\n').toLowerCase()
      expect(said).toContain(served)
      const firstHost = headers.find(({ name }) => name.toLowerCase() === 'host')?.value.trim() ?? ''
      const label = /^49983-([a-z0-9]+)[.-]/.exec(firstHost)?.[1]
      if (label !== undefined) expect(served).toBe(label)
    },
  }))

interface Message {
  method: string
  host: string
  /** Headers that say nothing */
  fillers: number
  extra: string[]
  framing: 'none' | 'length' | 'chunks'
  body: string
}

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: 49983-i0.localhost\r\n\r\n'
const message: fc.Arbitrary<Message> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS'),
  host: fc.constantFrom(
    '49983-ialpha.localhost',
    '49983-ibeta.localhost',
    '80-ialpha.localhost',
    'localhost',
  ),
  fillers: fc.constantFrom(0, 1, 998, 1100, 2000),
  extra: fc.array(
    fc.constantFrom(
      'Connection: upgrade',
      'Upgrade: websocket',
      'Upgrade: h2c',
      'Expect: 100-continue',
      'Connection: content-length, transfer-encoding, host',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      'TE: trailers',
    ),
    { maxLength: 4 },
  ),
  framing: fc.constantFrom('none', 'length', 'chunks'),
  body: fc.constantFrom('', 'x', smuggled, `0\r\n\r\n${smuggled}`),
})

function bytesOf({ method, host: named, fillers, extra, framing, body }: Message): string {
  const lines = [
    `${method} / HTTP/1.1`,
    `Host: ${named}`,
    ...extra,
    ...Array.from({ length: fillers }, () => 'a:b'),
  ]
  if (framing === 'length') lines.push(`Content-Length: ${body.length}`)
  if (framing === 'chunks') lines.push('Transfer-Encoding: chunked')
  const sent = { none: '', length: body, chunks: `${chunkOf(body)}0\r\n\r\n` }[framing]
  return `${lines.join('\r\n')}\r\n\r\n${sent}`
}

const chunkOf = (body: string) => (body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`)

test('connections: bodies are never read as requests, whatever comes before them', () =>
  fuzz({
    name: 'connections',
    input: fc.array(message, { minLength: 1, maxLength: 3 }),
    async check(messages) {
      const answers = await exchange(messages.map(bytesOf).join(''))
      // Only bodies name it.
      expect(answers).not.toContain('<i0>')
      expect(answers).toMatch(/^(HTTP\/1\.1 [1-5]\d\d |$)/)
      expect(answers).not.toMatch(/HTTP\/1\.1 500 /)
    },
  }))

interface Streams {
  authority: string | null
  host: string | null
  id: string | null
  port: string | null
  /** Of a WebSocket, by extended CONNECT */
  isWebSocket: boolean
  path: string
}

const optional = (arbitrary: fc.Arbitrary<string>) => fc.option(arbitrary, { nil: null })

test('streams: in HTTP/2, too, nobody but who was named answers', () =>
  fuzz<Streams>({
    name: 'streams',
    input: fc.record({
      authority: optional(host),
      host: optional(host),
      id: optional(headerValue),
      port: optional(headerValue),
      isWebSocket: fc.boolean(),
      path: fc.constantFrom('/', '/health', '*', '//x', 'http://49983-ibeta.localhost/'),
    }),
    async check({ authority, host: named, id, port, isWebSocket, path }) {
      const answer = await ask({
        ':method': isWebSocket ? 'CONNECT' : 'GET',
        ':path': path,
        ':scheme': 'http',
        ...(isWebSocket && { ':protocol': 'websocket' }),
        ...(authority !== null && { ':authority': authority }),
        ...(named !== null && { host: named }),
        ...(id !== null && { 'e2b-sandbox-id': id }),
        ...(port !== null && { 'e2b-sandbox-port': port }),
      })
      // What can't be sent, and what is refused as no HTTP/2.
      if (answer === undefined) return
      expect(answer.status).toBeGreaterThanOrEqual(200)
      expect(answer.status).not.toBe(500)
      const served = /<(i[a-z0-9]+)>/.exec(answer.body)?.[1]
      if (served === undefined) return
      const decisive = authority || named || ''
      const label = /^49983-([a-z0-9]+)([.-]|$)/.exec(decisive.toLowerCase())?.[1]
      if (label !== undefined && decisive.includes('.')) expect(served).toBe(label)
      else expect(id).toBe(served)
    },
  }))

/** One stream of a shared connection, which a broken stream doesn't end but a broken frame may. */
async function ask(headers: OutgoingHttpHeaders): Promise<{ status: number; body: string } | undefined> {
  if (session === undefined || session.destroyed || session.closed) {
    session = connectHttp2(`http://127.0.0.1:${edge.port}`)
    session.on('error', () => {})
    await once(session, 'remoteSettings')
  }
  try {
    const stream = session.request(headers, { endStream: headers[':protocol'] === undefined })
    const [answer] = await within(5000, once(stream, 'response'))
    const body = await within(5000, text(stream))
    return { status: answer[':status'], body }
  } catch (error) {
    if (error instanceof Error && /^nothing happened/.test(error.message)) throw error
    return undefined
  }
}

/** Sends bytes and gives what comes back until the connection closes. */
async function exchange(request: string): Promise<string> {
  const socket = connect(edge.port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
  socket.on('error', () => {})
  // What isn't a whole head yet waits for more; the end tells that none comes.
  socket.end(request, 'latin1')
  try {
    await within(5000, once(socket, 'close'))
  } finally {
    socket.destroy()
  }
  return answer
}
