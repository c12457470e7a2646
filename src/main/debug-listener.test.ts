import { once } from 'node:events'
import { request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { debugSandboxId } from '../control/debug-sandbox.ts'
import { ServerError } from '../domain/error.ts'
import { type LiveSandbox, openIngress } from '../domain/live-sandbox.ts'
import { createEdge } from '../edge/edge.ts'
import { connectSocket } from '../lib/connect-socket.ts'
import { silentLog } from '../lib/log.ts'
import { createDebugListener } from './debug-listener.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

async function listen(server: Server): Promise<number> {
  servers.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

async function start(ensure: () => Promise<void> = async () => {}): Promise<number> {
  const sandbox: LiveSandbox = {
    id: debugSandboxId,
    accessToken: null,
    ingress: openIngress,
    gone: new AbortController().signal,
    envd: (req, res) => void req.on('data', (chunk) => res.write(chunk)).on('end', () => res.end(' by envd')),
    dial: (port, signal) => connectSocket({ port, host: '127.0.0.1' }, signal),
  }
  let isThere = false
  const edge = createEdge({ directory: { find: () => (isThere ? sandbox : undefined) }, log: silentLog })
  const begin = async () => {
    await ensure()
    isThere = true
  }
  return await listen(createDebugListener({ edge, ensure: begin, log: silentLog }))
}

async function send(
  port: number,
  headers: Record<string, string>,
  body = '',
): Promise<{ status: number; text: string }> {
  const sent = request({ port, host: '127.0.0.1', method: 'POST', headers, agent: false })
  sent.on('continue', () => sent.end(body))
  if (headers.expect === undefined) sent.end(body)
  else sent.flushHeaders()
  const [res] = await once(sent, 'response')
  let text = ''
  for await (const chunk of res) text += chunk
  return { status: res.statusCode, text }
}

test('a request of a local program waits until the sandbox runs', async () => {
  const port = await start()
  expect(await send(port, { host: 'localhost:49983' }, 'body')).toEqual({ status: 200, text: 'body by envd' })
  expect(await send(port, { host: '[::1]:49983', expect: '100-continue' }, 'body')).toEqual({
    status: 200,
    text: 'body by envd',
  })
})

test.each([
  { host: 'rebound.example.com' },
  { host: 'localhost', origin: 'https://example.com' },
  { host: 'localhost', origin: 'null' },
  { host: 'localhost', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  { host: 'localhost', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  { host: 'localhost', 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' },
  { host: 'localhost.example.com' },
])('a request with %j is refused and starts nothing', async (headers) => {
  const port = await start(() => expect.unreachable())
  const { status, text } = await send(port, headers)
  expect(status).toBe(403)
  expect(text).toContain('takes requests of local programs only')
})

test('why the sandbox does not start is said', async () => {
  const port = await start(async () => {
    throw new ServerError('unavailable', 'The engine is away.')
  })
  expect(await send(port, { host: 'localhost' })).toEqual({
    status: 503,
    text: '{"code":503,"message":"The engine is away."}',
  })
})

/** Asks for an upgrade and gives all that comes back. */
async function upgrade(port: number, headers: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n${headers}\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) {
    text += chunk
    if (text.endsWith('\r\n\r\n')) socket.end('over')
  }
  return text
}

test('upgrades go to ports of the sandbox, but not those of web pages', async () => {
  const inside = await start()
  servers[0]?.removeAllListeners('upgrade').on('upgrade', (_req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  const port = await start()
  const to = `Host: localhost\r\nE2b-Sandbox-Port: ${inside}`
  expect(await upgrade(port, to)).toMatch(/^HTTP\/1.1 101 [\s\S]*\r\n\r\nover$/)
  expect(await upgrade(port, `${to}\r\nOrigin: https://example.com`)).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/)
})
