import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { type Received, readAll, readUntil } from './edge.fixture.ts'
import { createPassToApi } from './pass-to-api.ts'
import { createTrafficServer } from './traffic-server.ts'

let folder: string
let socket: string
let edge: Server
let agent: Agent
let ended: (() => unknown)[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e2b-api-'))
  socket = join(folder, 'api.sock')
  agent = new Agent({ keepAlive: true })
  edge = createTrafficServer().on('request', createPassToApi({ socket, maxRequests: 100, log: silentLog }))
  await once(edge.listen(0, '127.0.0.1'), 'listening')
  ended = []
})
afterEach(async () => {
  agent.destroy()
  edge.close()
  edge.closeAllConnections()
  for (const end of ended) await end()
  await rm(folder, { recursive: true })
})

type Handler = (req: IncomingMessage, res: ServerResponse) => void

/** An API as the control process has it. */
async function startApi(handler: Handler): Promise<{ connections: Socket[]; stop(): Promise<unknown> }> {
  const connections: Socket[] = []
  const server = createServer({ keepAliveTimeout: 0 }, handler)
  server.on('connection', (connection: Socket) => connections.push(connection))
  await once(server.listen(socket), 'listening')
  const stop = async () => {
    if (!server.listening) return
    const closed = once(server.close(), 'close')
    server.closeAllConnections()
    await closed
  }
  ended.push(stop)
  return { connections, stop }
}

/** One that is only a connection: `onText` has all that each has brought so far. */
async function startRawApi(onText: (text: string, connection: Socket, index: number) => void) {
  const connections: Socket[] = []
  const server = createTcpServer((connection) => {
    const index = connections.push(connection) - 1
    let text = ''
    connection.on('error', () => {})
    connection.on('data', (bytes) => {
      text += bytes.toString('latin1')
      onText(text, connection, index)
    })
  })
  await once(server.listen(socket), 'listening')
  ended.push(() => {
    server.close()
    for (const connection of connections) connection.destroy()
  })
  return connections
}

async function post(body: string, headers: Record<string, string> = {}): Promise<Received> {
  const { port } = edge.address() as AddressInfo
  const sent = request({ host: '127.0.0.1', port, agent, method: 'POST', path: '/', headers })
  const [answer] = await once(sent.end(body), 'response')
  return readAll(answer)
}

const echo: Handler = (req, res) => void readAll(req).then(({ body }) => res.end(`${req.method} ${body}`))

test('requests with bodies, of a length or in chunks, share one connection with all others', async () => {
  const { connections } = await startApi(echo)
  for (let i = 0; i < 10; i++) {
    expect(await post(`body ${i}`)).toMatchObject({ status: 200, body: `POST body ${i}` })
    expect(await post(`body ${i}`, { 'Transfer-Encoding': 'chunked' })).toMatchObject({
      body: `POST body ${i}`,
    })
    expect(await post('')).toMatchObject({ body: 'POST ' })
  }
  expect(connections).toHaveLength(1)
})

test('a request that counts when sent twice is sent once, whatever becomes of its connection', async () => {
  const bodies: string[] = []
  const { connections } = await startApi((req, res) => {
    void readAll(req).then(({ body }) => {
      bodies.push(body)
      if (body === 'last words') req.socket.destroy()
      else res.end(body)
    })
  })
  expect(await post('first')).toMatchObject({ status: 200 })
  expect(await post('last words')).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
  expect(connections).toHaveLength(1)
  expect(await post('next')).toMatchObject({ status: 200 })
  expect(bodies).toEqual(['first', 'last words', 'next'])
})

test('behind a request whose answer came before its end nothing is sent', async () => {
  const connections = await startRawApi((text, connection) => {
    if (/\r\n\r\n/.test(text)) connection.write('HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly')
  })
  const client = connect((edge.address() as AddressInfo).port, '127.0.0.1')
  ended.push(() => client.destroy())
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfive.')
  await readUntil(client, /early/)
  await expect.poll(() => connections[0]?.destroyed).toBe(true)
  expect(await post('next')).toMatchObject({ status: 202, body: 'early' })
  expect(connections).toHaveLength(2)
})

test('an answer that ends its connection is the last on it', async () => {
  const { connections } = await startApi((_req, res) =>
    res.writeHead(200, { Connection: 'close' }).end('bye'),
  )
  for (let i = 0; i < 3; i++) expect(await post('body')).toMatchObject({ status: 200, body: 'bye' })
  expect(connections).toHaveLength(3)
})

test('a process that was started again is found, and its predecessor is not asked', async () => {
  const before = await startApi(echo)
  expect(await post('one')).toMatchObject({ body: 'POST one' })
  await before.stop()
  expect(await post('two')).toMatchObject({ status: 503 })
  const { connections } = await startApi(echo)
  for (const body of ['three', 'four']) expect(await post(body)).toMatchObject({ body: `POST ${body}` })
  expect(connections).toHaveLength(1)
})
