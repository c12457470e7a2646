/** The client's half of spec/host.md, against a helper's side that answers what each test is about. */
import { spawn } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import type { RuntimeEvent } from '../../domain/runtime.ts'
import { silentLog } from '../../lib/log.ts'
import type { Answer } from './answers.ts'
import { createHostClient } from './host-client.ts'
import { messageMaxBytes } from './host-connection.ts'
import { type HostPeer, hello, type PeerRequest, startPeer } from './host-peer.fixture.ts'
import { buildOf } from './host-process.ts'
import { watchHost } from './host-watch.ts'

const patience = () => AbortSignal.timeout(20_000)
const network = {
  open: false,
  allow: [],
  resolvers: ['192.0.2.1'],
  bounds: { connections: 1, connectionsPerSecond: 1, packetsPerSecond: 1 },
}

function clientOf({ root }: Pick<HostPeer, 'root'>) {
  const client = createHostClient({ root, path: '', network: async () => network, log: silentLog })
  return { ...client, [Symbol.asyncDispose]: () => client.close() }
}

test('one connection greets, says what sandboxes may reach, and has answers in whatever order they come', async () => {
  const asked: PeerRequest[] = []
  await using peer = await startPeer((request) => {
    asked.push(request)
    if (asked.length < 3) return
    for (const { op, fields, ok } of asked.toReversed()) ok({ op, fields })
  })
  await using client = clientOf(peer)
  const answers = ['a', 'b', 'c'].map((sandbox) => client.call('find', { sandbox }, patience()))
  expect(await Promise.all(answers)).toEqual(
    ['a', 'b', 'c'].map((sandbox) => ({ op: 'find', fields: { sandbox } })),
  )
  expect(peer.asked).toEqual(['hello', 'prepare', 'find', 'find', 'find'])
  expect((await client.hello(patience())).features.userNamespace).toEqual({
    has: false,
    why: 'This kernel maps no mounts.',
  })
  await client.prepare(patience())
  expect(peer.asked).toHaveLength(5)
})

test('what sandboxes may reach is said again after a while, once for all who ask', async () => {
  await using peer = await startPeer(() => {})
  await using client = clientOf(peer)
  await client.prepare(patience())
  const later = performance.now() + 11_000
  using _clock = vi.spyOn(performance, 'now').mockReturnValue(later)
  await Promise.all([1, 2, 3].map(() => client.prepare(patience())))
  await client.prepare(patience())
  expect(peer.asked).toEqual(['hello', 'prepare', 'prepare'])
})

test('what sandboxes may reach is said again behind a start before one has to wait for it', async () => {
  await using peer = await startPeer(() => {})
  await using client = clientOf(peer)
  await client.hello(patience())
  const later = performance.now() + 6_000
  using _clock = vi.spyOn(performance, 'now').mockReturnValue(later)
  await client.prepare(patience())
  await client.prepare(patience())
  await expect.poll(() => peer.asked).toEqual(['hello', 'prepare', 'prepare'])
})

test('errors are those of the vocabulary; what is none, or says more than clients may know, is internal', async () => {
  const failures: [string, string][] = [
    ['not_found', 'There is no sandbox a.'],
    ['internal', 'open /secret: EIO'],
    ['no_such_code', 'A reason.'],
  ]
  await using peer = await startPeer(({ fail }) => fail(...failures.shift()!))
  await using client = clientOf(peer)
  const call = () => client.call('find', { sandbox: 'a' }, patience())
  await expect(call()).rejects.toMatchObject({ code: 'not_found', message: 'There is no sandbox a.' })
  for (let times = 0; times < 2; times++) {
    await expect(call()).rejects.toMatchObject({
      code: 'internal',
      message: expect.not.stringContaining('secret'),
    })
  }
})

test('what is given up is taken back, and settles as the helper says', async () => {
  const starts: PeerRequest[] = []
  const canceled: unknown[] = []
  await using peer = await startPeer((request) => {
    if (request.op === 'start') return void starts.push(request)
    canceled.push(request.fields.of)
    request.ok()
    const [undone, won] = starts
    if (canceled.length === 1) undone!.fail('canceled')
    else won!.ok({ pid: 1 })
  })
  await using client = clientOf(peer)
  await client.hello(patience())
  for (const outcome of ['undone', 'won']) {
    const leaving = new AbortController()
    const call = client.call('start', {}, leaving.signal)
    // Sent by now: there is a connection, and this loop has turned.
    await new Promise((resolve) => setImmediate(resolve))
    leaving.abort(new DOMException('left', 'AbortError'))
    if (outcome === 'won') expect(await call).toEqual({ pid: 1 })
    else await expect(call).rejects.toBe(leaving.signal.reason)
    expect(getEventListeners(leaving.signal, 'abort')).toEqual([])
  }
  expect(canceled).toEqual(starts.map(({ id }) => id))
})

test('a call that is given up before it is sent is never sent', async () => {
  await using peer = await startPeer(() => {})
  await using client = clientOf(peer)
  await client.hello(patience())
  await expect(client.call('kill', {}, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
  expect(peer.asked).toEqual(['hello', 'prepare'])
})

test('a connection that ends fails what waits, and the next call has a new one', async () => {
  await using peer = await startPeer(({ op, ok }) => (op === 'list' ? peer.cut() : ok()))
  await using client = clientOf(peer)
  const both = [client.call('list', {}, patience()), client.call('list', {}, patience())]
  for (const call of both) await expect(call).rejects.toMatchObject({ code: 'unavailable' })
  expect(await client.call('kill', {}, patience())).toEqual({})
  expect(peer.asked.filter((op) => op === 'hello')).toHaveLength(2)
})

test.each([
  ['a message that is too long', Buffer.from([0, 0x10, 0, 1])],
  ['no JSON', Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from('{')])],
  ['no object', Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.from('[]')])],
])('%s ends the connection', async (_, bytes) => {
  await using peer = await startPeer(() => peer.write(bytes))
  await using client = clientOf(peer)
  await expect(client.call('find', {}, patience())).rejects.toMatchObject({ code: 'unavailable' })
})

test('a request that is too long is refused here, and the connection goes on', async () => {
  await using peer = await startPeer(({ ok }) => ok())
  await using client = clientOf(peer)
  const large = client.call('start', { note: 'x'.repeat(messageMaxBytes) }, patience())
  await expect(large).rejects.toMatchObject({ code: 'invalid_argument' })
  expect(await client.call('find', {}, patience())).toEqual({})
})

test('no more wait at a time than the helper takes, and all are answered', async () => {
  const waiting: PeerRequest[] = []
  let most = 0
  await using peer = await startPeer((request) => {
    waiting.push(request)
    most = Math.max(most, waiting.length)
    setImmediate(() => waiting.shift()?.ok())
  })
  await using client = clientOf(peer)
  await Promise.all(Array.from({ length: 3000 }, () => client.call('find', {}, patience())))
  expect(most).toBeLessThan(1024)
})

test('ends of guests are told, on each connection anew; one without a helper is down, once', async () => {
  const events: RuntimeEvent[] = []
  let wake = () => {}
  const seen = async (count: number) => {
    while (events.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  const listener = (event: RuntimeEvent) => {
    events.push(event)
    wake()
  }
  const stopping = new AbortController()
  let watching: Promise<void>
  {
    await using peer = await startPeer(({ ok }) => ok())
    const client = clientOf(peer)
    watching = watchHost({ client, listener, log: silentLog }, stopping.signal)
    await seen(1)
    peer.tell({ event: 'gone', sandbox: 'a' })
    await seen(2)
    peer.cut()
    await seen(3)
    peer.tell({ event: 'gone', sandbox: 'b' })
    await seen(4)
  }
  await seen(5)
  stopping.abort()
  await watching
  const gone = (sandboxId: string) => ({ type: 'guest-gone', sandboxId })
  const up = { type: 'engine-up' }
  const down = { type: 'engine-down', reason: expect.stringContaining('does not run') }
  expect(events).toEqual([up, gone('a'), up, gone('b'), down])
})

test('a helper of another version is replaced where it may be, and refused where others start it', async () => {
  const old = spawn('sleep', ['1000'])
  const greeting: Answer = { ...hello, protocol: 2, pid: old.pid! }
  await using peer = await startPeer(({ ok }) => ok(), greeting)
  await using guest = clientOf(peer)
  await expect(guest.hello(patience())).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining('speaks version 2'),
  })
  expect(old.exitCode ?? old.signalCode).toBeNull()

  const file = join(peer.root, 'program')
  await writeFile(file, '#!/bin/sh\necho ready\n', { mode: 0o755 })
  const program = { file, agent: file, instance: 'test', logFile: join(peer.root, 'log') }
  const build = await buildOf(program)
  old.once('exit', () => {
    Object.assign(greeting, { protocol: 1, build })
    peer.cut()
  })
  const options = { root: peer.root, program, path: '/usr/bin:/bin', network: async () => network }
  const owner = createHostClient({ ...options, log: silentLog })
  expect((await owner.hello(patience())).pid).toBe(old.pid)
  expect(old.signalCode).toBe('SIGTERM')
  await owner.close()
})

test('whoever asks for a sandbox learns no paths, whoever runs the server does', async () => {
  await using nowhere = clientOf({ root: '/nonexistent' })
  const error = await nowhere.hello(patience()).catch((refusal) => refusal)
  expect(error).toMatchObject({
    code: 'unavailable',
    message: 'The helper that makes sandboxes does not run.',
  })
  expect(error.cause.message).toContain('/nonexistent/host.sock')
  await using deep = clientOf({ root: `/${'x'.repeat(97)}` })
  await expect(deep.hello(patience())).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining('has 98 bytes, and sockets can be in one of 97 at most'),
  })
})
