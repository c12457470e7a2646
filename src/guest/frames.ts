/**
 * The agent protocol's frames (spec/guest.md): `u32 length, u8 type, payload`. The parser reads what an agent
 * sends, which is hostile: every length is checked before a byte of it is kept. Payloads of data frames are passed
 * on as slices of what came from the socket, never reassembled; JSON payloads are collected up to their limit.
 */
import { ServerError } from '../domain/error.ts'
import type { ByteAccount } from '../lib/byte-budget.ts'

export const frameType = {
  auth: 0x00,
  request: 0x01,
  reply: 0x02,
  error: 0x03,
  end: 0x04,
  item: 0x05,
  input: 0x10,
  eof: 0x11,
  stdout: 0x12,
  stderr: 0x13,
  pty: 0x14,
  data: 0x15,
} as const

/** The longest payload of an `input` frame, in bytes. */
export const inputMaxBytes = 256 * 1024

const headerBytes = 5
/** The longest request that an agent reads, in bytes. */
const requestMaxBytes = 4 * 1024 * 1024
/** The longest reply of most operations, in bytes: a file with all of its metadata. */
const replyMaxBytes = 512 * 1024
/** The longest reply and the longest item that there are, in bytes. */
export const longReplyMaxBytes = 4 * 1024 * 1024
/** What is reserved for a JSON payload before its bytes have come, so that a mere announcement costs nothing. */
const reserveBytes = 16 * 1024

/** What an agent may send: each type's longest payload in bytes, and whether it is JSON. */
const admitted: ReadonlyMap<number, { maxBytes: number; json: boolean }> = new Map([
  [frameType.reply, { maxBytes: longReplyMaxBytes, json: true }],
  [frameType.error, { maxBytes: 64 * 1024, json: true }],
  [frameType.end, { maxBytes: 64 * 1024, json: true }],
  [frameType.item, { maxBytes: longReplyMaxBytes, json: true }],
  [frameType.stdout, { maxBytes: 256 * 1024, json: false }],
  [frameType.stderr, { maxBytes: 256 * 1024, json: false }],
  [frameType.pty, { maxBytes: 256 * 1024, json: false }],
  [frameType.data, { maxBytes: 256 * 1024, json: false }],
])

/** A whole JSON frame, or a piece of a data frame: never empty, at most what one read of the socket gave. */
export interface Frame {
  type: number
  payload: Buffer
}

export interface FrameParser {
  /** Hands over bytes. Only once `next` has returned undefined. */
  feed(chunk: Buffer): void
  /** The next piece, or undefined until more is fed. Errors: `internal` for a violation of the protocol. */
  next(): Frame | undefined
  /** What was fed and not taken; the parser is of no use afterwards. */
  rest(): Buffer
}

export interface FrameParserOptions {
  /** The longest reply, in bytes */
  replyMaxBytes?: number
  /** Where the memory of frames that come in pieces is counted: it never shrinks, and whoever opened it closes it */
  account?: ByteAccount | undefined
}

/** Errors of its `next`: `internal` for a violation of the protocol, `resource_exhausted` where the account is full. */
export function createFrameParser(options: FrameParserOptions = {}): FrameParser {
  const { replyMaxBytes: replyMax = replyMaxBytes, account } = options
  const header = Buffer.alloc(headerBytes)
  let chunk: Buffer = Buffer.alloc(0)
  let at = 0
  let headerLength = 0
  /** The frame being read; undefined between frames */
  let frame: { type: number; remaining: number; json: JsonCollector | undefined } | undefined

  function take(maxBytes: number): Buffer {
    const slice = chunk.subarray(at, at + maxBytes)
    at += slice.length
    return slice
  }

  function beginFrame(): boolean {
    headerLength += take(headerBytes - headerLength).copy(header, headerLength)
    if (headerLength < headerBytes) return false
    headerLength = 0
    const length = header.readUInt32BE(0)
    const type = header.readUInt8(4)
    const limits = admitted.get(type)
    if (limits === undefined) throw protocolViolation(`frame of type ${type}`)
    const maxBytes = type === frameType.reply ? replyMax : limits.maxBytes
    if (length > maxBytes) throw protocolViolation(`frame of type ${type} with ${length} bytes`)
    frame = { type, remaining: length, json: limits.json ? createJsonCollector(length, account) : undefined }
    return true
  }

  function next(): Frame | undefined {
    for (;;) {
      if (frame === undefined && !beginFrame()) return undefined
      const current = frame!
      const slice = take(current.remaining)
      current.remaining -= slice.length
      current.json?.add(slice)
      if (current.remaining === 0) frame = undefined
      if (current.json !== undefined) {
        return current.remaining === 0 ? { type: current.type, payload: current.json.whole() } : undefined
      }
      if (slice.length > 0) return { type: current.type, payload: slice }
      if (current.remaining > 0) return undefined
    }
  }

  return {
    feed(bytes) {
      chunk = bytes
      at = 0
    },
    next,
    rest: () => chunk.subarray(at),
  }
}

interface JsonCollector {
  add(slice: Buffer): void
  whole(): Buffer
}

/** Gathers `length` bytes; what it holds grows with what has come, so that one-byte reads cost no more than long ones. */
function createJsonCollector(length: number, account: ByteAccount | undefined): JsonCollector {
  let bytes: Buffer | undefined
  let filled = 0

  function allocate(size: number): Buffer {
    if (account?.raise(size) === false) throw tooMuchHeld()
    return Buffer.allocUnsafe(size)
  }

  return {
    add(slice) {
      if (filled === 0 && slice.length === length) {
        bytes = slice
      } else {
        bytes ??= allocate(Math.min(length, Math.max(reserveBytes, slice.length)))
        if (filled + slice.length > bytes.length) {
          const larger = allocate(Math.min(length, Math.max(bytes.length * 2, filled + slice.length)))
          bytes.copy(larger, 0, 0, filled)
          bytes = larger
        }
        slice.copy(bytes, filled)
      }
      filled += slice.length
    },
    whole: () => (bytes ?? Buffer.alloc(0)).subarray(0, filled),
  }
}

/** The five bytes before a payload of `length` bytes. */
export function encodeHeader(type: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes)
  header.writeUInt32BE(length, 0)
  header.writeUInt8(type, 4)
  return header
}

/** The frame that opens an operation. Errors: `invalid_argument` where it is longer than the agent reads. */
export function encodeRequest(request: object): Buffer {
  const json = JSON.stringify(request)
  const length = Buffer.byteLength(json)
  if (length > requestMaxBytes) {
    throw new ServerError(
      'invalid_argument',
      `The request has ${length} bytes. The limit is ${requestMaxBytes}.`,
    )
  }
  const frame = Buffer.allocUnsafe(headerBytes + length)
  frame.writeUInt32BE(length, 0)
  frame.writeUInt8(frameType.request, 4)
  frame.write(json, headerBytes)
  return frame
}

/** The error where more is being answered at once than the server has memory for. */
function tooMuchHeld(): ServerError {
  const message = 'Too much is being answered at once. Try again in a moment, with fewer requests at a time.'
  return new ServerError('resource_exhausted', message, { retryAfterS: 1 })
}

/** How an agent has broken the protocol; for the log only. It has no stack, which would say nothing and takes time. */
export class ProtocolViolation {
  readonly detail: string

  constructor(detail: string) {
    this.detail = detail
  }
}

/** The error of an agent that doesn't keep to the protocol; its cause is a `ProtocolViolation`. */
export function protocolViolation(detail: string): ServerError {
  return new ServerError('internal', "The sandbox's agent broke its protocol. Create a new sandbox.", {
    cause: new ProtocolViolation(detail),
  })
}
