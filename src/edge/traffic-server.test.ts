import { once } from 'node:events'
import type { Server } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { testCertificate } from '../../tests/support/certificate.ts'
import { silentLog } from '../lib/log.ts'
import { closed, readUntil } from './edge.fixture.ts'
import { createTrafficServer, type TrafficServerOptions } from './traffic-server.ts'

let server: Server
afterEach(async () => {
  server.closeAllConnections()
  if (server.listening) await new Promise((resolve) => server.close(resolve))
})

async function start(options?: TrafficServerOptions): Promise<number> {
  server = createTrafficServer(options)
  server.on('request', (req, res) => {
    res.write('begun ')
    if (req.url === '/') res.end('ended')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

function open(port: number, bytes: string): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(bytes)
  return socket
}

function openHttp2(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  return session
}

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

test.each([
  ['nothing', ''],
  ['half of HTTP/2', preface.slice(0, 10)],
  ['half a head', 'GET / HTTP/1.1\r\nHost: x\r\nX-Ne'],
])('a new connection that brings %s is closed in time', async (_name, bytes) => {
  const socket = open(await start({ headersTimeoutMs: 200, checkIntervalMs: 50 }), bytes)
  const begun = performance.now()
  socket.resume()
  await closed(socket)
  expect(performance.now() - begun).toBeGreaterThan(150)
})

test('an idle HTTP/2 connection is closed, one with a silent stream stays', async () => {
  const port = await start({ idleTimeoutMs: 300 })
  const idle = openHttp2(port)
  const used = openHttp2(port)
  await once(idle, 'connect')
  const stream = used.request({ ':path': '/open' })
  await readUntil(stream, /begun/)
  await once(idle, 'close')
  // The other one has been silent for as long.
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(stream.closed).toBe(false)
  const again = used.request({ ':path': '/' })
  expect(await readUntil(again, /ended/)).toBe('begun ended')
  used.destroy()
})

test('to close it lets open requests of either version end, and takes no new ones', async () => {
  const port = await start()
  const undecided = open(port, 'PRI ')
  const idle = openHttp2(port)
  const used = openHttp2(port)
  const http1 = open(port, 'GET /open HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(idle, 'connect')
  const stream = used.request({ ':path': '/open' })
  await Promise.all([readUntil(stream, /begun/), readUntil(http1, /begun/)])

  const done = new Promise((resolve) => server.close(resolve))
  undecided.resume()
  await Promise.all([closed(undecided), closed(idle)])
  expect([stream.closed, http1.destroyed]).toEqual([false, false])

  http1.resume()
  const cut = Promise.all([closed(stream), closed(http1)])
  server.closeAllConnections()
  await cut
  await done
})

test('clients of both versions are served over and over', async () => {
  const port = await start()
  const session = openHttp2(port)
  for (let i = 0; i < 20; i++) {
    const stream = session.request({ ':path': '/' })
    expect(await readUntil(stream, /ended/)).toBe('begun ended')
    const socket = open(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(await readUntil(socket, /ended\r\n0\r\n\r\n$/)).toMatch(/^HTTP\/1.1 200 OK/)
  }
  session.destroy()
})

test('thousands of requests may be open on one connection', async () => {
  const port = await start()
  const session = openHttp2(port)
  const [settings] = await once(session, 'remoteSettings')
  expect(settings.maxConcurrentStreams).toBe(4096)
  session.destroy()
})

test.each([
  ['that is no HTTP', '\0\0 not HTTP\r\n\r\n', 400, 'not a valid HTTP/1.1 request'],
  [
    'whose headers are too long',
    `GET / HTTP/1.1\r\nHost: a\r\nX-Huge: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'longer than 16 KiB',
  ],
])('a request %s is told what is wrong with it', async (_what, bytes, status, message) => {
  const socket = open(await start(), bytes)
  const answer = await readUntil(socket, /}/)
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(answer).toContain(`"code":${status}`)
  expect(answer).toContain(message)
})

test('a request whose head comes too slowly is told so', async () => {
  const port = await start({ headersTimeoutMs: 200, checkIntervalMs: 50 })
  const socket = open(port, 'GET / HTTP/1.1\r\nHost: a\r\n')
  expect(await readUntil(socket, /}/)).toMatch(/^HTTP\/1\.1 408 [\s\S]*took too long/)
})

test('TLS on a port without it is closed at once, and said once', async () => {
  const said: string[] = []
  const port = await start({ log: { ...silentLog, warn: (_fields, message) => said.push(message) } })
  for (let i = 0; i < 3; i++) {
    const socket = connectTls({ port, host: '127.0.0.1' })
    socket.on('error', () => {})
    await closed(socket)
  }
  expect(said).toEqual([expect.stringMatching(/E2B_API_URL.*--tls/)])
})

describe('near the number of connections that it may have', () => {
  test.each(['HTTP/1.1', 'TLS'])('idle ones make room for new ones, and busy ones stay: %s', async (kind) => {
    const credentials = kind === 'TLS' ? await testCertificate('x') : undefined
    const port = await start({ maxClients: 8, credentials })
    const openOne = (bytes: string) => {
      if (credentials === undefined) return open(port, bytes)
      const socket = connectTls({ port, host: '127.0.0.1', ca: credentials.cert, servername: 'x' })
      socket.on('error', () => {}).write(bytes)
      return socket
    }
    const busy = openOne('GET /open HTTP/1.1\r\nHost: x\r\n\r\n')
    await readUntil(busy, /begun/)
    for (let i = 0; i < 30; i++) {
      const socket = openOne('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await readUntil(socket, /ended/)
      // Rounds that make room have a pause between them.
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    expect(busy.destroyed).toBe(false)
    busy.destroy()
  })

  test('a new one is closed where all are busy, and taken when one has gone', async () => {
    const port = await start({ maxClients: 3 })
    const busy = [1, 2, 3].map(() => open(port, 'GET /open HTTP/1.1\r\nHost: x\r\n\r\n'))
    await Promise.all(busy.map((socket) => readUntil(socket, /begun/)))
    await closed(open(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n').resume())
    busy[0]!.destroy()
    await expect
      .poll(() => readUntil(open(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /ended/).catch(() => ''))
      .toContain('ended')
  })
})
