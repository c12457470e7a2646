import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { closed, type EdgeFixture, readAll, readUntil, startEdge } from './edge.fixture.ts'
import { createEdge } from './edge.ts'

let edge: EdgeFixture
beforeEach(async () => {
  edge = await startEdge()
})
afterEach(() => edge[Symbol.asyncDispose]())

/** Starts an exchange that doesn't end by itself; resolves once its answer has begun. */
async function begin(port: number, id = 'isandbox'): Promise<IncomingMessage> {
  const sent = request(edge.to(port, { id }))
  sent.on('error', () => {})
  sent.end()
  const [res] = (await once(sent, 'response')) as [IncomingMessage]
  await readUntil(res, /begun/)
  return res
}

test.each(['length', 'chunks', 'envd'])(
  'an answer in flight breaks off when its sandbox goes (%s)',
  async (how) => {
    const port = await edge.serve((_req, res) => {
      if (how === 'length') res.setHeader('content-length', '1000')
      res.write('begun')
    })
    const sandbox = edge.addSandbox('ilive', (_req, res) => void res.write('begun'))
    const res = await begin(how === 'envd' ? 49_983 : port, 'ilive')
    const broken = readAll(res)
    sandbox.go()
    await expect(broken).rejects.toThrow(/aborted|ECONNRESET/)
    expect(await edge.send(49_983, { id: 'ilive' })).toMatchObject({ status: 502 })
    await expect.poll(() => sandbox.dialed.size).toBe(0)
  },
)

test('the connection is reset, not ended', async () => {
  const port = await edge.serve((_req, res) => void res.write('begun'))
  const socket = edge.connect()
  socket.write(`GET / HTTP/1.1\r\nHost: ${port}-isandbox.localhost\r\n\r\n`)
  await readUntil(socket, /begun/)
  const outcome = Promise.race([
    new Promise((resolve) => socket.once('end', () => resolve('ended'))),
    closed(socket).then(() => 'closed'),
  ])
  socket.resume()
  edge.sandbox.go()
  expect(await outcome).toBe('closed')
})

test('a request that has no answer yet is answered that its sandbox is gone', async () => {
  let arrived: () => void
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const port = await edge.serve(() => arrived())
  const answer = edge.send(port, { method: 'POST', body: 'x' })
  await arrival
  edge.sandbox.go()
  expect(await answer).toMatchObject({ status: 502, body: expect.stringContaining('was not found') })
})

test('so is one that waits for a closed port, and one for envd', async () => {
  const sandbox = edge.addSandbox('ilive', () => {})
  const answers = [edge.send(1, { id: 'ilive' }), edge.send(49_983, { id: 'ilive' })]
  await expect.poll(() => sandbox.dialCount).toBe(1)
  sandbox.go()
  for (const answer of answers) expect(await answer).toMatchObject({ status: 502 })
})

test('a tunnel is cut', async () => {
  const port = await edge.serveRaw((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write('HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'))
  })
  const socket = edge.connect()
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${port}-isandbox.localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`,
  )
  await readUntil(socket, /101 Yes[\s\S]*\r\n\r\n$/)
  const cut = closed(socket)
  socket.resume()
  edge.sandbox.go()
  await cut
  await expect.poll(() => edge.sandbox.dialed.size).toBe(0)
})

test('a connection that only spoke to the sandbox before stays', async () => {
  const other = edge.addSandbox('iother')
  const port = await edge.serve((_req, res) => res.end('fine'))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (const id of ['isandbox', 'iother'])
    expect(await edge.send(port, { id, agent })).toMatchObject({ body: 'fine' })
  const socket = Object.values(agent.freeSockets).flat()[0]
  expect(socket).toBeDefined()
  edge.sandbox.go()
  expect(await edge.send(49_983, { id: 'isandbox', agent })).toMatchObject({ status: 502 })
  expect(await edge.send(port, { id: 'iother', agent })).toMatchObject({ body: 'fine' })
  expect(Object.values(agent.freeSockets).flat()[0]).toBe(socket)
  other.go()
  expect(socket?.destroyed).toBe(false)
  agent.destroy()
})

test('only connections of the sandbox that goes are cut', async () => {
  edge.addSandbox('iother')
  const port = await edge.serve((req, res) => {
    res.write('begun')
    req.socket.on('error', () => {})
  })
  const mine = await begin(port)
  const others = await begin(port, 'iother')
  const cut = closed(mine)
  edge.sandbox.go()
  await cut
  expect(others.destroyed).toBe(false)
})

test('kept connections into the sandbox are closed', async () => {
  const port = await edge.serve((_req, res) => res.end('fine'))
  await edge.send(port)
  expect(edge.sandbox.dialed.size).toBe(1)
  edge.sandbox.go()
  await expect.poll(() => edge.sandbox.dialed.size).toBe(0)
})

test('requests that wait in line behind another on one connection end with it', async () => {
  let arrivals = 0
  const port = await edge.serve((_req, res) => {
    arrivals++
    res.write('begun')
  })
  const socket = edge.connect()
  const one = `GET / HTTP/1.1\r\nHost: ${port}-isandbox.localhost\r\n\r\n`
  socket.write(one.repeat(5))
  await expect.poll(() => arrivals).toBe(5)
  expect(edge.sandbox.dialed.size).toBe(5)
  socket.destroy()
  await expect.poll(() => edge.sandbox.dialed.size).toBe(0)
})

test('a sandbox that comes back by the same id is reached', async () => {
  edge.addSandbox('igone').go()
  expect(await edge.send(49_983, { id: 'igone' })).toMatchObject({ status: 502 })
  edge.addSandbox('igone')
  expect(await edge.send(49_983, { id: 'igone' })).toMatchObject({ status: 200, body: 'envd' })
})

test('a request whose client has left before it is handed over goes nowhere', async () => {
  const port = await edge.serve((_req, res) => void res.write('begun'))
  const late = createEdge({ directory: { find: () => edge.sandbox }, log: silentLog })
  let client: Socket | undefined
  const handedOver = new Promise<void>((resolve) => {
    const serving = edge.serve(async (req, res) => {
      client?.destroy()
      await closed(req.socket)
      late.handleRequest(req, res, { kind: 'sandbox', sandboxId: 'isandbox', port })
      resolve()
    })
    void serving.then((listener) => {
      client = connect(listener, '127.0.0.1').on('error', () => {})
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    })
  })
  await handedOver
  expect(edge.sandbox.dialCount).toBe(0)
})
