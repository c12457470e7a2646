import { once, setMaxListeners } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ErrorCode, ServerError } from '../domain/error.ts'
import type { LiveSandbox, WakeRequest, WakeSandbox } from '../domain/live-sandbox.ts'
import { type EdgeFixture, readUntil, startEdge } from './edge.fixture.ts'
import { createWaker } from './waker.ts'

const id = 'i0123456789abcdefghij'

interface Call {
  id: string
  request: WakeRequest
  signal: AbortSignal
  resolve(sandbox?: LiveSandbox): void
  reject(error: Error): void
}

/** Attempts to wake, in their order; each ends when a test says so. */
function createWakes(): { calls: Call[]; wake: WakeSandbox } {
  const calls: Call[] = []
  const wake: WakeSandbox = (asked, wanted, signal) =>
    new Promise((resolve, reject) => {
      calls.push({ id: asked, request: wanted, signal, resolve, reject })
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  return { calls, wake }
}

describe('traffic for a sandbox that is not live', () => {
  let edge: EdgeFixture
  let calls: Call[]
  let port: number
  beforeEach(async () => {
    const wakes = createWakes()
    calls = wakes.calls
    edge = await startEdge('stream', { wake: wakes.wake })
    port = await edge.serve((req, res) => req.pipe(res))
  })
  afterEach(() => edge[Symbol.asyncDispose]())

  test.each(['/init', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade?x'])(
    'reserved for a control plane (%s) wakes nothing, and is the same of a sandbox that is there',
    async (path) => {
      for (const asked of [id, 'isandbox']) {
        const answer = await edge.send(49_983, { id: asked, method: 'POST', path })
        expect(answer.status).toBe(404)
        expect(JSON.parse(answer.body)).toEqual({
          code: 404,
          message:
            'This endpoint is reserved for the E2B control plane and is not reachable through the sandbox URL',
          path: path.replace('?x', ''),
        })
      }
      expect(calls).toHaveLength(0)
    },
  )

  const called = () => expect.poll(() => calls.length).toBe(1)

  test('wakes it with what it brings, waits, and goes on as if nothing had been', async () => {
    const headers = { 'x-access-token': 'a', 'e2b-traffic-access-token': 't' }
    const answers = Array.from({ length: 20 }, (_, i) =>
      edge.send(port, { id, method: 'POST', headers, body: `body ${i}` }),
    )
    await called()
    expect(calls[0]).toMatchObject({ id, request: { port, accessToken: 'a', trafficAccessToken: 't' } })
    calls[0]!.resolve(edge.addSandbox(id))
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(answers.map((_, i) => `body ${i}`))
    expect(calls.length).toBe(1)
  })

  test('wakes it for envd and for upgrades too', async () => {
    const envd = edge.send(49_983, { id })
    await called()
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'
    const echo = await edge.serveRaw((inside) => {
      inside.once('data', () => inside.write(switching) && inside.pipe(inside))
    })
    const socket = edge.connect()
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${echo}-${id}.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly`,
    )
    await expect.poll(() => calls.length).toBe(2)
    const sandbox = edge.addSandbox(id)
    for (const call of calls) call.resolve(sandbox)
    expect(await envd).toMatchObject({ status: 200, body: 'envd' })
    expect(await readUntil(socket, /early$/)).toMatch(/^HTTP\/1.1 101 /)
  })

  test.each<[ErrorCode, number]>([
    ['forbidden', 403],
    ['conflict', 409],
    ['resource_exhausted', 429],
    ['unavailable', 503],
    ['deadline_exceeded', 504],
  ])('%s is %i', async (code, status) => {
    const answer = edge.send(port, { id })
    await called()
    calls[0]!.reject(new ServerError(code, 'So it is.'))
    expect(await answer).toMatchObject({ status })
    expect(JSON.parse((await answer).body)).toEqual({ sandboxId: id, message: 'So it is.', code: status })
  })

  test('nothing to wake is nothing there', async () => {
    const answer = edge.send(port, { id })
    await called()
    calls[0]!.resolve(undefined)
    expect(await answer).toMatchObject({ status: 502, body: expect.stringContaining('was not found') })
  })

  test('an id that this server doesn’t make wakes nothing', async () => {
    for (const other of ['inone', `${id}x`, `x${id.slice(1)}`, '0']) {
      expect(await edge.send(port, { id: other })).toMatchObject({ status: 502 })
    }
    expect(calls).toEqual([])
  })

  test('a client that leaves ends its wait, the last one the attempt', async () => {
    const [first, second] = [request(edge.to(port, { id })), request(edge.to(port, { id }))]
    for (const sent of [first!, second!]) sent.on('error', () => {}).end()
    await called()
    first!.destroy()
    const third = edge.send(port, { id })
    second!.destroy()
    // Leaves one that waits: the attempt is still wanted.
    calls[0]!.resolve(edge.addSandbox(id))
    expect(await third).toMatchObject({ status: 200 })
  })

  test('an attempt that nobody waits for is ended', async () => {
    const sent = request(edge.to(port, { id })).on('error', () => {})
    sent.end()
    await called()
    sent.destroy()
    await expect.poll(() => calls[0]!.signal.aborted).toBe(true)
    const socket = edge.connect()
    socket.write(`GET / HTTP/1.1\r\nHost: 80-${id}.localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`)
    await expect.poll(() => calls.length).toBe(2)
    socket.destroy()
    await expect.poll(() => calls[1]!.signal.aborted).toBe(true)
  })

  test('a body of a waiting request is neither lost nor hoarded', async () => {
    const sent = request(edge.to(port, { id, method: 'PUT' }))
    const body = Buffer.alloc(20 << 20, 'x')
    sent.end(body)
    await called()
    calls[0]!.resolve(edge.addSandbox(id))
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    let length = 0
    for await (const chunk of res) length += chunk.length
    expect(length).toBe(body.length)
  })
})

describe('attempts', () => {
  const ask = { port: 80, accessToken: undefined, trafficAccessToken: undefined }
  const signal = new AbortController().signal
  setMaxListeners(0, signal)

  test('last so long and no longer', async () => {
    const { calls, wake } = createWakes()
    await expect(createWaker(wake, 20)(id, ask, signal)).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(calls[0]!.signal.aborted).toBe(true)
  })

  test('with other tokens are others, and there are only so many', async () => {
    const { calls, wake } = createWakes()
    const waker = createWaker(wake)
    const waiting = Array.from({ length: 16 }, (_, i) => waker(id, { ...ask, accessToken: `${i}` }, signal))
    await expect(waker(id, ask, signal)).rejects.toMatchObject({ code: 'resource_exhausted' })
    const shared = waker(id, { ...ask, accessToken: '3' }, signal)
    await expect.poll(() => calls.length).toBe(16)
    for (const call of calls) call.resolve(undefined)
    expect(await Promise.all([...waiting, shared])).toEqual(Array(17).fill(undefined))
    const again = waker(id, ask, signal)
    await expect.poll(() => calls.length).toBe(17)
    calls[16]!.resolve(undefined)
    expect(await again).toBeUndefined()
  })
})
