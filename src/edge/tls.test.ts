/** The same listener with TLS. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testCertificate } from '../../tests/support/certificate.ts'
import type { Credentials } from '../domain/credentials.ts'
import { openIngress } from '../domain/live-sandbox.ts'
import { connectSocket } from '../lib/connect-socket.ts'
import { silentLog } from '../lib/log.ts'
import { closed, readUntil } from './edge.fixture.ts'
import { createEdge } from './edge.ts'
import { listenFor } from './listeners.ts'
import { misdirected } from './misdirected.ts'
import { routeOfRequest } from './route.ts'
import { createTrafficServer, type TrafficServer } from './traffic-server.ts'

const domain = 'e2b.local'
const first = await testCertificate(domain)

let server: TrafficServer
let inside: Server
let port: number
let gone: AbortController
beforeEach(async () => {
  gone = new AbortController()
  inside = createServer((req, res) => res.end(String(req.headers['x-forwarded-proto'])))
  inside.on('upgrade', (_req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  await once(inside.listen(0, '127.0.0.1'), 'listening')
  const sandbox = {
    id: 'isandbox',
    accessToken: null,
    ingress: openIngress,
    gone: gone.signal,
    envd: () => {},
    dial: (_port: number, signal: AbortSignal) =>
      connectSocket({ host: '127.0.0.1', port: (inside.address() as AddressInfo).port }, signal),
  }
  server = createTrafficServer({ credentials: first })
  listenFor(server, {
    edge: createEdge({
      directory: { find: (id) => (id === sandbox.id ? sandbox : undefined) },
      log: silentLog,
    }),
    routeOf: (req) => misdirected(req, domain) ?? routeOfRequest(req, { domain }),
    api: (_req, res) => res.writeHead(200).end('api'),
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  port = (server.address() as AddressInfo).port
})
afterEach(() => {
  gone.abort()
  for (const each of [server, inside]) {
    each.close()
    each.closeAllConnections()
  }
})

const host = `80-isandbox.${domain}`

/** A connection that asks for a name and trusts the certificate's issuer. */
async function open(
  servername: string,
  ALPNProtocols: string[],
  { cert }: Credentials = first,
): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, servername, ca: cert, ALPNProtocols })
  await once(socket, 'secureConnect')
  return socket
}

test('ALPN says which version of HTTP it is', async () => {
  for (const protocol of ['h2', 'http/1.1']) {
    const socket = await open(host, [protocol])
    expect(socket.alpnProtocol).toBe(protocol)
    socket.destroy()
  }
  const socket = await open(host, ['h2', 'http/1.1'])
  const session = connectHttp2(`https://${host}`, { createConnection: () => socket })
  expect(await text(session.request({ ':path': '/' }))).toBe('https')
  expect(await text(session.request({ ':path': '/', ':authority': `api.${domain}` }))).toBe('api')
  session.destroy()
  const sent = request({ host: '127.0.0.1', port, servername: host, ca: first.cert, headers: { host } }).end()
  expect(await text((await once(sent, 'response'))[0])).toBe('https')
})

test('upgrades, and requests served as if they had not asked for one', async () => {
  const socket = await open(host, ['http/1.1'])
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly`)
  expect(await readUntil(socket, /early$/)).toMatch(/^HTTP\/1.1 101 /)
  const other = await open(host, ['http/1.1'])
  other.write(
    `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n`,
  )
  expect(await readUntil(other, /https/)).toMatch(/^HTTP\/1.1 200 /)
  const cutOff = closed(socket)
  gone.abort()
  await cutOff
  other.destroy()
})

test.each(['', 'elsewhere.example', `x${domain}`])(
  'a connection for the name %j is misdirected',
  async (servername) => {
    const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false })
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    expect(await text(socket)).toMatch(/^HTTP\/1.1 421 Misdirected Request\r\n[\s\S]*use api\.e2b\.local/)
  },
)

test('a new certificate is for new connections; old ones stay', async () => {
  const socket = await open(host, ['http/1.1'])
  const second = await testCertificate(domain)
  server.setCredentials(second)
  await expect(open(host, ['http/1.1'])).rejects.toThrow()
  const later = await open(host, ['h2', 'http/1.1'], second)
  expect(later.alpnProtocol).toBe('h2')
  later.destroy()
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  expect(await text(socket)).toMatch(/^HTTP\/1.1 200 /)
})

test('what is not TLS is closed, and so is what never says so when the server ends', async () => {
  const plain = connectTcp(port, '127.0.0.1')
  const ended = closed(plain)
  plain.write('GET / HTTP/1.1\r\n\r\n')
  await ended
  const silent = connectTcp(port, '127.0.0.1')
  await once(silent, 'connect')
  const cutOff = closed(silent)
  await expect.poll(() => server.closeAllConnections() ?? silent.destroyed).toBe(true)
  await cutOff
})
