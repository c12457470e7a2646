/** What an agent that breaks the protocol, stalls or dies does to the host: a typed error, and nothing more. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collect, collectBatches } from '../../tests/support/collect.ts'
import { frameBytes, type Peer, startPeer } from '../../tests/support/peer.ts'
import { type ErrorCode, ServerError } from '../domain/error.ts'
import { openCall } from './call.ts'
import { dial } from './dial.ts'
import { exec } from './exec.ts'
import { frameType } from './frames.ts'
import { hello } from './hello.ts'
import { list } from './list.ts'
import { listDir } from './list-dir.ts'
import { read } from './read.ts'
import { stat } from './stat.ts'
import { write } from './write.ts'

const never = new AbortController().signal
const command = { cmd: 'true', args: [], env: {}, stdin: false }
const entry = {
  name: 'a',
  type: 'file',
  path: '/a',
  size: 1,
  mode: 0o644,
  permissions: '-rw-r--r--',
  owner: 'root',
  group: 'root',
  modifiedMs: 1,
}

const reply = (payload: object) => frameBytes(frameType.reply, payload)

/** An agent that answers every request with these bytes and closes. */
function startReplaying(...bytes: Buffer[]): Promise<Peer> {
  return startPeer((socket) => socket.end(Buffer.concat(bytes)))
}

async function expectError(promise: Promise<unknown>, code: ErrorCode): Promise<ServerError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(ServerError)
  expect((thrown as ServerError).code).toBe(code)
  return thrown as ServerError
}

describe('an agent that breaks the protocol', () => {
  it.each([
    ['no JSON', frameBytes(frameType.reply, Buffer.from('{"protocol":'))],
    ['JSON that is no object', reply([1])],
    ['null', frameBytes(frameType.reply, Buffer.from('null'))],
    ['a missing field', reply({ protocol: 1, version: '1', boot: 'b', configured: true })],
    [
      'a field of another type',
      reply({ protocol: '1', version: '1', boot: 'b', configured: true, processes: 0 }),
    ],
    [
      'a number out of bounds',
      reply({ protocol: 1, version: '1', boot: 'b', configured: true, processes: -1 }),
    ],
    ['another frame than a reply', frameBytes(frameType.stdout, Buffer.from('x'))],
    ['a frame it may not send', frameBytes(frameType.request, { op: 'hello' })],
    ['an error with a foreign code', frameBytes(frameType.error, { code: 'canceled', message: 'x' })],
    ['an error without a message', frameBytes(frameType.error, { code: 'internal' })],
    [
      'an error with a strange errno',
      frameBytes(frameType.error, { code: 'internal', message: '', errno: 'x y' }),
    ],
    ['too long a frame', Buffer.from([0xff, 0xff, 0xff, 0xff, frameType.reply])],
  ])('is an internal error for %s', async (_, bytes) => {
    await using peer = await startReplaying(bytes)
    await expectError(hello(peer.guest, never), 'internal')
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half a frame', reply({ protocol: 1 }).subarray(0, 9)],
  ])('is unavailable when it closes after %s', async (_, bytes) => {
    await using peer = await startReplaying(bytes)
    await expectError(hello(peer.guest, never), 'unavailable')
  })

  it('passes its own errors on, with their errno', async () => {
    const message = "path '/a' does not exist"
    await using peer = await startReplaying(
      frameBytes(frameType.error, { code: 'not_found', message, errno: 'ENOENT' }),
    )
    const error = await expectError(stat(peer.guest, { path: '/a' }, never), 'not_found')
    expect(error).toMatchObject({ message, errno: 'ENOENT' })
  })

  it('cannot make a process stream end without its end', async () => {
    await using peer = await startReplaying(reply({ pid: 5 }), frameBytes(frameType.stdout, Buffer.from('x')))
    const { events } = await exec(peer.guest, command, never)
    expect((await events.next()).value).toMatchObject({ type: 'stdout' })
    await expectError(events.next(), 'unavailable')
    expect(await events.next()).toEqual({ done: true, value: undefined })
  })

  it('cannot pass a short file for a whole one', async () => {
    const data = frameBytes(frameType.data, Buffer.from('x'))
    await using peer = await startReplaying(
      reply({ entry, hasSize: true }),
      data,
      frameBytes(frameType.end, { bytes: 2 }),
    )
    const { body } = await read(peer.guest, { path: '/a' }, never)
    await body.next()
    await expectError(body.next(), 'internal')
  })

  it('cannot say that a file is written before it was sent', async () => {
    await using peer = await startReplaying(reply({ path: '/a' }), frameBytes(frameType.end, { entry }))
    const source = (async function* () {
      yield Buffer.from('x')
      await new Promise(() => {})
    })()
    await expectError(write(peer.guest, { path: '/a' }, source, never), 'internal')
  })

  const longEntry = { ...entry, name: 'x'.repeat(1_000_000) }
  const longProcess = { pid: 1, cmd: 'x'.repeat(3_000_000), args: [], env: {} }
  it.each([
    [
      'entries',
      { entries: [longEntry, longEntry, longEntry] },
      async (peer: Peer) => collectBatches(await listDir(peer.guest, { path: '/', depth: 1 }, never)),
    ],
    ['processes', { process: longProcess }, async (peer: Peer) => collect(await list(peer.guest, never))],
  ])('cannot fill the memory with one list of %s', async (_what, payload, ask) => {
    const item = frameBytes(frameType.item, payload)
    await using peer = await startPeer((socket) => {
      socket.write(reply({}))
      const more = () => {
        while (socket.writable && socket.write(item));
      }
      socket.on('drain', more)
      more()
    })
    await expectError(ask(peer), 'resource_exhausted')
  })

  it('keeps keys that mean something to JavaScript as plain keys', async () => {
    const process = '{"pid":1,"cmd":"x","args":[],"env":{"__proto__":"y"}}'
    await using peer = await startReplaying(
      reply({}),
      frameBytes(frameType.item, Buffer.from(`{"process":${process}}`)),
      frameBytes(frameType.end, {}),
    )
    const [first] = await collect(await list(peer.guest, never))
    expect(Object.entries(first?.env ?? {})).toEqual([['__proto__', 'y']])
  })

  it('takes any bytes with a typed error', async () => {
    let bytes = Buffer.alloc(0)
    await using peer = await startPeer((socket) => socket.end(bytes))
    const hostile = fc.array(
      fc.tuple(
        fc.nat(0x20),
        fc.oneof(
          fc.json().map((text) => Buffer.from(text)),
          fc.uint8Array(),
        ),
      ),
      { maxLength: 5 },
    )
    await fc.assert(
      fc.asyncProperty(hostile, async (frames) => {
        bytes = Buffer.concat(frames.map(([type, payload]) => frameBytes(type, Buffer.from(payload))))
        await expect(stat(peer.guest, { path: '/a' }, never)).rejects.toBeInstanceOf(ServerError)
      }),
      { numRuns: 200 },
    )
  })
})

describe('an agent that stalls', () => {
  it('is unavailable when it does not answer in time', async () => {
    await using peer = await startPeer(() => {})
    const call = await openCall(peer.guest, { op: 'hello' }, { signal: never, replyTimeoutMs: 20 })
    await expectError(call.next(), 'unavailable')
  })

  it('has time while its input comes, and none once that is there', async () => {
    await using peer = await startPeer(() => {})
    const limits = { signal: never, replyTimeoutMs: 100, answersAfterBytes: 10 }
    const call = await openCall(peer.guest, { op: 'write', path: '/a' }, limits)
    const answer = expectError(call.next(), 'unavailable')
    let isOver = false
    void answer.finally(() => {
      isOver = true
    })
    await call.send(frameType.input, Buffer.alloc(9))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(isOver).toBe(false)
    await call.send(frameType.eof, Buffer.alloc(0))
    await answer
  })

  it('is unavailable when it cannot even be reached in time', async () => {
    const guest = { connect: () => new Promise<never>(() => {}) }
    await expectError(openCall(guest, { op: 'hello' }, { signal: never, replyTimeoutMs: 20 }), 'unavailable')
  })

  it('is unavailable when nothing listens', async () => {
    const guest = { connect: () => Promise.reject(new Error('refused')) }
    await expectError(hello(guest, never), 'unavailable')
  })

  it('gets no more of a stream than somebody reads, and is let go of when nobody does', async () => {
    await using peer = await startPeer((socket) => {
      socket.write(reply({ pid: 5 }))
      const chunk = frameBytes(frameType.stdout, Buffer.alloc(32 * 1024))
      const more = () => {
        while (socket.writable && socket.write(chunk));
      }
      socket.on('drain', more)
      more()
    })
    const { events } = await exec(peer.guest, command, never)
    const socket = await peer.connection()
    const written = await settled(() => socket.bytesWritten - socket.writableLength)
    expect(written).toBeLessThan(4 * 1024 * 1024)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await events.return?.()
    await closed
  })

  it('is let go of at once when the caller gives up', async () => {
    await using peer = await startPeer((socket) => socket.write(reply({ pid: 5 })))
    const caller = new AbortController()
    const { events } = await exec(peer.guest, command, caller.signal)
    const socket = await peer.connection()
    const closed = new Promise((resolve) => socket.once('end', resolve))
    const next = expectError(events.next(), 'canceled')
    caller.abort()
    await next
    await closed
  })

  it('is not waited for by a caller that has already given up', async () => {
    await using peer = await startPeer(() => {})
    await expectError(hello(peer.guest, AbortSignal.abort()), 'canceled')
  })
})

describe('dial', () => {
  it('hands over the bytes behind the reply, and what follows', async () => {
    await using peer = await startPeer((socket) => {
      socket.write(Buffer.concat([reply({}), Buffer.from('first ')]))
      socket.once('data', (bytes) => socket.end(`then ${bytes}`))
    })
    const stream = await dial(peer.guest, { port: 80 }, never)
    stream.end('request')
    const received: Buffer[] = []
    for await (const chunk of stream) received.push(chunk)
    expect(Buffer.concat(received).toString()).toBe('first then request')
  })

  it('leaves the stream alone once it has been handed over', async () => {
    await using peer = await startPeer((socket) => socket.write(reply({})))
    const caller = new AbortController()
    const stream = await dial(peer.guest, { port: 80 }, caller.signal)
    caller.abort()
    const socket = await peer.connection()
    const received = new Promise((resolve) => stream.once('data', resolve))
    socket.write('still here')
    expect(String(await received)).toBe('still here')
    stream.destroy()
  })
})

/** A number once it has stopped changing. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    if (read() === last) return last
    last = read()
  }
}
