/**
 * One operation on one connection to an agent. Reading is pulled: nothing is taken from the socket until somebody
 * asks for the next frame, so a slow consumer slows the agent. A call holds its connection until `close`; whoever
 * opened it closes it in every outcome.
 */

import type { Duplex } from 'node:stream'
import { isErrorCode, ServerError, toError } from '../domain/error.ts'
import type { ByteAccount } from '../lib/byte-budget.ts'
import { abortable } from '../lib/deadline.ts'
import { createLanding, type Landing } from '../lib/landing.ts'
import { startPatience } from '../lib/patience.ts'
import { createWaiter } from '../lib/waiter.ts'
import { parseFields } from './fields.ts'
import {
  createFrameParser,
  encodeHeader,
  encodeRequest,
  type Frame,
  type FrameParser,
  frameType,
  protocolViolation,
} from './frames.ts'
import type { Guest } from './guest.ts'

/** Why a call is over that nobody had a complaint about. Made once: errors gather a stack, and every call ends. */
const closed = new ServerError('canceled', 'The operation was closed.')
const handedOver = new ServerError('internal', 'The connection has been handed over.')

/** How long an agent may take to connect and answer where an operation sets no other limit, in milliseconds. */
const replyTimeoutMs = 10_000

export interface CallOptions {
  /** Ends the call, at any point of it */
  signal: AbortSignal
  /** Until the first frame has come, in milliseconds */
  replyTimeoutMs?: number
  /**
   * The agent answers only when it has had this many bytes of input or their end: `replyTimeoutMs` is for connecting,
   * and once more from then on. Absent: it answers the request.
   */
  answersAfterBytes?: number
  /** The longest reply that the operation has, in bytes; absent: `replyMaxBytes` of `frames.ts` */
  replyMaxBytes?: number
  /** Pieces of data frames are good only until the next is asked for: they are read into one buffer where that can be */
  reusesBuffer?: boolean
}

export interface Call {
  /**
   * The next frame, or the next piece of a data frame; undefined until more has come. Errors: what an `error` frame
   * says; `unavailable` when the connection ends or the agent is silent; `internal` for a violation of the protocol;
   * `canceled`.
   */
  take(): Frame | undefined
  /** Resolves when `take`, which has just given nothing, is worth another try. */
  ready(): Promise<void>
  /** What `take` gives, waited for. */
  next(): Promise<Frame>
  /** Sends one frame, and resolves when there is room for more: to false when nobody is there to read it. */
  send(type: number, payload: Buffer): Promise<boolean>
  /** The connection itself, for what comes after the frames; the call is over. */
  detach(): Duplex
  /** Releases the connection. Idempotent. */
  close(): void
}

/** Connects and sends the request. Errors: `unavailable`, `canceled`, `invalid_argument` (too long). */
export async function openCall(guest: Guest, request: object, options: CallOptions): Promise<Call> {
  const frame = encodeRequest(request)
  const lifetime = startLifetime(options)
  try {
    const landing = options.reusesBuffer && guest.lands ? createLanding() : undefined
    const stream = await connect(guest, lifetime.signal, landing)
    const { answersAfterBytes: owesAfterBytes = 0, replyMaxBytes } = options
    if (owesAfterBytes > 0) lifetime.owesNothing()
    const account = guest.openAccount?.()
    const parser = createFrameParser({ account, ...(replyMaxBytes !== undefined && { replyMaxBytes }) })
    const call = createCall(stream, { lifetime, owesAfterBytes, parser, account, landing })
    stream.write(frame)
    return call
  } catch (thrown) {
    lifetime.end()
    throw thrown
  }
}

interface Lifetime {
  /** Aborts with a `ServerError` */
  signal: AbortSignal
  /** The agent has answered, or can't yet: from now on only the caller's signal ends the call */
  owesNothing(): void
  /** The agent has all that it needs for an answer */
  owesAnswer(): void
  end(): void
}

function startLifetime({ signal, replyTimeoutMs: timeoutMs = replyTimeoutMs }: CallOptions): Lifetime {
  const controller = new AbortController()
  const onAbort = () => controller.abort(cancellation(signal.reason))
  const onTimeout = () => {
    controller.abort(
      new ServerError('unavailable', `The sandbox did not answer within ${timeoutMs / 1000} s.`),
    )
  }
  let patience = startPatience(timeoutMs, onTimeout)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return {
    signal: controller.signal,
    owesNothing: () => patience.stop(),
    owesAnswer() {
      patience.stop()
      if (!controller.signal.aborted) patience = startPatience(timeoutMs, onTimeout)
    },
    end() {
      patience.stop()
      signal.removeEventListener('abort', onAbort)
    },
  }
}

/** Whatever a signal was aborted with as an error of ours: a deadline stays one, all else is `canceled`. */
function cancellation(reason: unknown): ServerError {
  const error = toError(reason)
  return error.code === 'internal'
    ? new ServerError('canceled', 'The request was canceled.', { cause: reason })
    : error
}

async function connect(guest: Guest, signal: AbortSignal, landing?: Landing): Promise<Duplex> {
  signal.throwIfAborted()
  const connecting = guest.connect(signal, landing)
  try {
    return await abortable(connecting, signal)
  } catch (thrown) {
    connecting.then(
      (late) => late.destroy(),
      () => {},
    )
    if (signal.aborted) throw signal.reason
    if (thrown instanceof ServerError) throw thrown
    throw new ServerError('unavailable', 'The sandbox does not answer.', { cause: thrown })
  }
}

interface CallParts {
  lifetime: Lifetime
  /** As `CallOptions.answersAfterBytes`; 0: the agent owes an answer from the start */
  owesAfterBytes: number
  parser: FrameParser
  /** What the parser holds, given back when the call is over */
  account: ByteAccount | undefined
  /** Where the stream's bytes are found; undefined: at the stream */
  landing: Landing | undefined
}

function createCall(stream: Duplex, parts: CallParts): Call {
  const { lifetime, owesAfterBytes, parser, account, landing } = parts
  const readable = createWaiter()
  const writable = createWaiter()
  /** Why the call is over; set once */
  let failure: ServerError | undefined
  let ended = false
  let streamError: Error | undefined
  /** Bytes of input until the agent owes an answer */
  let untilOwed = owesAfterBytes

  const onEnd = () => {
    ended = true
    readable.wake()
    writable.wake()
  }
  const onError = (error: Error) => {
    streamError = error
  }
  const onAbort = () => finish(lifetime.signal.reason)

  if (landing === undefined) stream.on('readable', readable.wake)
  else landing.onBytes(readable.wake)
  stream.on('drain', writable.wake)
  stream.on('end', onEnd)
  stream.on('close', onEnd)
  // Stays for good: an error after the call is over concerns nobody.
  stream.on('error', onError)
  lifetime.signal.addEventListener('abort', onAbort, { once: true })

  function release(error: ServerError): void {
    failure = error
    account?.close()
    lifetime.signal.removeEventListener('abort', onAbort)
    lifetime.end()
    stream.off('readable', readable.wake)
    stream.off('drain', writable.wake)
    stream.off('end', onEnd)
    stream.off('close', onEnd)
    readable.wake()
    writable.wake()
  }

  function finish(error: ServerError): ServerError {
    if (failure !== undefined) return failure
    release(error)
    stream.destroy()
    return error
  }

  function takeFrame(): Frame | undefined {
    for (;;) {
      const frame = parser.next()
      if (frame !== undefined) return frame
      const chunk: unknown = landing === undefined ? stream.read() : landing.take(stream)
      if (chunk === null) return undefined
      if (!Buffer.isBuffer(chunk)) throw protocolViolation('stream that is not one of bytes')
      parser.feed(chunk)
    }
  }

  function take(): Frame | undefined {
    if (failure !== undefined) throw failure
    const frame = attempt(takeFrame)
    if (frame === undefined) {
      if (ended) throw finish(connectionLost(streamError))
      return undefined
    }
    untilOwed = 0
    lifetime.owesNothing()
    if (frame.type === frameType.error) throw attempt(() => finish(parseError(frame.payload)))
    return frame
  }

  async function next(): Promise<Frame> {
    for (;;) {
      const frame = take()
      if (frame !== undefined) return frame
      await readable.wait()
    }
  }

  function attempt<T>(step: () => T): T {
    try {
      return step()
    } catch (thrown) {
      throw finish(toError(thrown))
    }
  }

  async function send(type: number, payload: Buffer): Promise<boolean> {
    if (failure !== undefined || !stream.writable) return false
    stream.cork()
    stream.write(encodeHeader(type, payload.length))
    if (payload.length > 0) stream.write(payload)
    stream.uncork()
    countInput(type, payload.length)
    while (stream.writableNeedDrain && failure === undefined && !ended) await writable.wait()
    return failure === undefined && stream.writable
  }

  function countInput(type: number, length: number): void {
    if (untilOwed === 0) return
    untilOwed = type === frameType.eof ? 0 : Math.max(0, untilOwed - length)
    if (untilOwed === 0) lifetime.owesAnswer()
  }

  return {
    take,
    ready: readable.wait,
    next,
    send,
    detach() {
      release(handedOver)
      const rest = parser.rest()
      if (rest.length > 0) stream.unshift(rest)
      return stream
    },
    close() {
      finish(closed)
    },
  }
}

function connectionLost(cause: Error | undefined): ServerError {
  const message = 'The connection to the sandbox ended before the operation was complete.'
  return new ServerError('unavailable', message, { cause })
}

/** The codes an agent may use (spec/guest.md). */
const agentCodes: ReadonlySet<string> = new Set([
  'invalid_argument',
  'unauthenticated',
  'not_found',
  'conflict',
  'resource_exhausted',
  'failed_precondition',
  'unavailable',
  'unimplemented',
  'internal',
])

function parseError(payload: Buffer): ServerError {
  const fields = parseFields(payload)
  const code = fields.string('code')
  const errno = fields.optionalString('errno')
  if (!isErrorCode(code) || !agentCodes.has(code)) throw protocolViolation('error with an unknown code')
  if (errno !== undefined && !/^[A-Z][A-Z0-9]{0,31}$/.test(errno))
    throw protocolViolation('error with a bad errno')
  return new ServerError(code, fields.string('message'), { errno })
}
