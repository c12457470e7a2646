/** The three shapes an operation can have above a `Call`: one reply, a stream of frames, a stream of input. */
import type { ServerError } from '../domain/error.ts'
import { type Call, type CallOptions, openCall } from './call.ts'
import { type Fields, parseFields } from './fields.ts'
import { type Frame, frameType, inputMaxBytes, protocolViolation } from './frames.ts'
import type { Guest } from './guest.ts'

/** Sends a request, reads its one reply and closes. `parse` raises protocol violations. */
export async function callUnary<T>(
  guest: Guest,
  request: object,
  options: CallOptions,
  parse: (reply: Fields) => T,
): Promise<T> {
  const call = await openCall(guest, request, options)
  try {
    return parse(await readFields(call, frameType.reply))
  } finally {
    call.close()
  }
}

/** Sends a request and waits for its reply; the call stays open. `parse` raises protocol violations. */
export async function openStream<T>(
  guest: Guest,
  request: object,
  options: CallOptions,
  parse: (reply: Fields) => T,
): Promise<{ call: Call; reply: T }> {
  const call = await openCall(guest, request, options)
  try {
    return { call, reply: parse(await readFields(call, frameType.reply)) }
  } catch (thrown) {
    call.close()
    throw thrown
  }
}

/** The next frame, which must be a JSON one of that type. */
export async function readFields(call: Call, type: number): Promise<Fields> {
  const frame = await call.next()
  if (frame.type !== type) throw unexpectedFrame(frame)
  return parseFields(frame.payload)
}

export function unexpectedFrame(frame: Frame): ServerError {
  return protocolViolation(`frame of type ${frame.type} where another was due`)
}

/** What one frame means to a consumer; with `done`, the value (if any) is the last one. */
export interface Step<T> {
  value?: T
  done?: boolean
}

/** What comes on a call, at the pace of its consumer. */
export interface Values<T> extends AsyncIterableIterator<T, undefined> {
  /** As `next`, of what has already come; undefined where that is nothing, and at the end. */
  take(): T | undefined
  /** Lets go of the call. Idempotent. */
  return(): Promise<IteratorReturnResult<undefined>>
}

/**
 * A call's frames as values. The call is closed when the last one was taken, on an error, and when the consumer stops
 * (`return`), even one that never began.
 */
export function frames<T>(call: Call, step: (frame: Frame) => Step<T>): Values<T> {
  let isFinished = false
  function finish(): { done: true; value: undefined } {
    isFinished = true
    call.close()
    return { done: true, value: undefined }
  }

  function take(): T | undefined {
    try {
      while (!isFinished) {
        const frame = call.take()
        if (frame === undefined) return undefined
        const { value, done } = step(frame)
        if (done) finish()
        if (value !== undefined) return value
      }
      return undefined
    } catch (thrown) {
      finish()
      throw thrown
    }
  }

  return {
    take,
    async next() {
      for (;;) {
        const value = take()
        if (value !== undefined) return { done: false, value }
        if (isFinished) return { done: true, value: undefined }
        await call.ready()
      }
    },
    async return() {
      return finish()
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

/**
 * Feeds a call from `source` while `outcome`, which reads the agent's side, is already running: an agent that
 * refuses ends the sending at once. The source belongs to the caller; it is neither closed nor waited for when the
 * agent has refused. Errors: those of `outcome`; what the source throws, as it is.
 */
export async function feed<T>(
  call: Call,
  source: AsyncIterable<Uint8Array>,
  outcome: Promise<T>,
): Promise<T> {
  let isSent = false
  const sending = sendAll(call, source).then(() => {
    isSent = true
    return outcome
  })
  const checked = outcome.then((value) => {
    if (!isSent) throw protocolViolation('end before all input was sent')
    return value
  })
  try {
    return await Promise.race([sending, checked])
  } finally {
    sending.catch(() => {})
    checked.catch(() => {})
    call.close()
  }
}

async function sendAll(call: Call, source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of keepOpen(source)) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let at = 0; at < bytes.length; at += inputMaxBytes) {
      if (!(await call.send(frameType.input, bytes.subarray(at, at + inputMaxBytes)))) return
    }
  }
  await call.send(frameType.eof, Buffer.alloc(0))
}

/** The same values; a consumer that stops doesn't close the source (which for a request means its connection). */
function keepOpen<T>(source: AsyncIterable<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = source[Symbol.asyncIterator]()
      return { next: () => iterator.next() }
    },
  }
}
