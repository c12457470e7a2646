import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { readUntil } from './edge.fixture.ts'
import { limitBody } from './limit-body.ts'
import { createTrafficServer } from './traffic-server.ts'

let server: Server
let handled = 0
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

/** Refuses at `/refuse`, answers to what it has begun to read at `/read`, and waits for the body elsewhere. */
async function start(lingerMs: number, bodyTimeoutMs?: number): Promise<number> {
  handled = 0
  server = createTrafficServer({ linger: { connectionMs: lingerMs, streamMs: lingerMs } })
  server.on('request', (req, res) => {
    handled++
    limitBody(req, res, bodyTimeoutMs)
    if (req.url === '/refuse') return res.writeHead(401).end('refused')
    if (req.url === '/stuck') return void refuseWhenStuck(req, res)
    req.on('data', () => req.url === '/read' && !res.headersSent && res.end('answered'))
    req.on('end', () => res.headersSent || res.end('whole'))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** Reads a part, and refuses once so much of the rest lies unread that the parser has stopped reading, too. */
async function refuseWhenStuck(req: IncomingMessage, res: ServerResponse): Promise<void> {
  req.once('data', () => req.pause())
  while (!req.socket.isPaused()) await nextTurn()
  res.writeHead(507).end('refused')
}

function open(port: number, path: string, length: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n.`)
  return socket
}

/** Resolves when the server has closed all connections, whatever their clients have done. */
async function noneLeft(): Promise<void> {
  const count = () => new Promise<number>((resolve) => server.getConnections((_error, open) => resolve(open)))
  await vi.waitFor(async () => expect(await count()).toBe(0), { timeout: 15_000 })
}

/** Sends a byte of the body now and then, until the connection is closed. */
function dribble(socket: Socket): void {
  const timer = setInterval(() => socket.write('.'), 20)
  socket.once('close', () => clearInterval(timer))
}

test.each([
  ['refused before it is read', '/refuse', /connection: close.*refused/is],
  ['answered while it is read', '/read', /answered/],
])('a connection whose body never comes is closed: %s', async (_what, path, answer) => {
  const socket = open(await start(100), path, 100)
  await readUntil(socket, answer)
  await noneLeft()
})

test.each(['/refuse', '/read'])('bytes that drip in do not keep it: %s', async (path) => {
  const socket = open(await start(100), path, 1_000_000)
  dribble(socket)
  socket.resume()
  await noneLeft()
})

test.each([
  ['/refuse', 401],
  ['/stuck', 507],
])('a client that sends all of a large body before it reads sees the answer: %s', async (path, status) => {
  const length = 32 * 1024 * 1024
  const socket = open(await start(600_000), path, length)
  await new Promise((resolve) => socket.write(Buffer.alloc(length - 1), resolve))
  expect(await readUntil(socket, /refused/)).toMatch(new RegExp(`^HTTP/1.1 ${status}`))
  socket.end()
  await noneLeft()
})

test('what comes behind a refused body is not served', async () => {
  const socket = open(await start(100), '/refuse', 2)
  await readUntil(socket, /refused/)
  socket.write('.POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
  await noneLeft()
  expect(handled).toBe(1)
})

test('a body that has come whole leaves the connection open', async () => {
  const socket = open(await start(1), '/', 1)
  expect(await readUntil(socket, /whole/)).not.toMatch(/connection: close/i)
  socket.write('GET /refuse HTTP/1.1\r\nHost: x\r\n\r\n')
  await readUntil(socket, /refused/)
})

test('a body that drips in has its time, and then an answer', async () => {
  const socket = open(await start(100, 100), '/', 1_000_000)
  dribble(socket)
  await readUntil(socket, /^HTTP\/1.1 408.*took too long/s)
  await noneLeft()
})

test.each(['/refuse', '/read'])('a stream of HTTP/2 ends behind its answer: %s', async (path) => {
  const session = connectHttp2(`http://127.0.0.1:${await start(100)}`)
  const stream = session.request({ ':method': 'POST', ':path': path }, { endStream: false })
  stream.write('.')
  await readUntil(stream, /refused|answered/)
  stream.resume()
  await once(stream, 'close')
  expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR)
  session.destroy()
})

test('a stream of HTTP/2 whose body never comes is reset in time', async () => {
  const session = connectHttp2(`http://127.0.0.1:${await start(100, 100)}`)
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  stream.on('error', () => {})
  stream.write('.')
  await new Promise((resolve) => stream.once('close', resolve))
  expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
  session.destroy()
})
