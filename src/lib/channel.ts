/**
 * Messages over a byte stream: `u32 big-endian length, JSON` (`spec/data-plane.md`, `spec/host.md`). One message at a time is
 * handed on, in order. Bounded both ways: a message has a longest length, and a peer that doesn't read is given up.
 */
import type { Duplex } from 'node:stream'

/** What may wait for a peer to read, in bytes. */
const waitingMaxBytes = 64 * 2 ** 20
const headerBytes = 4

export interface Channel {
  /** Whether it has gone out, or waits for its turn; false: the channel is over. */
  send(message: object): boolean
  /** Bytes that the peer hasn't read yet. */
  readonly waitingBytes: number
  /** Sends what waits, and then the end. */
  finish(): void
  /** Ends it; `onEnd` is called. Idempotent. */
  close(): void
}

export interface ChannelEvents {
  onMessage(message: unknown): void
  /** Called once, with why where it wasn't `close` or the peer's end. */
  onEnd(error?: Error): void
}

/** Takes over the stream. What `onMessage` throws ends the channel. `messageMaxBytes`: of the longest message, either way. */
export function createChannel(
  stream: Duplex,
  messageMaxBytes: number,
  { onMessage, onEnd }: ChannelEvents,
): Channel {
  let isOver = false
  const end = (error?: Error) => {
    if (isOver) return
    isOver = true
    stream.destroy()
    onEnd(error)
  }
  const read = createReader(messageMaxBytes, (message) => {
    if (!isOver) onMessage(message)
  })
  stream.on('data', (bytes: Buffer) => {
    try {
      read(bytes)
    } catch (error) {
      end(error instanceof Error ? error : new Error(String(error)))
    }
  })
  stream.on('end', () => end())
  stream.on('close', () => end())
  stream.on('error', end)
  return {
    send(message) {
      if (isOver) return false
      if (stream.writableLength > waitingMaxBytes) {
        end(new Error('the other side does not read'))
        return false
      }
      stream.write(encode(message, messageMaxBytes))
      return true
    },
    get waitingBytes() {
      return stream.writableLength
    },
    finish() {
      if (!isOver) stream.end()
    },
    close: () => end(),
  }
}

/** Errors: the message is too long. */
function encode(message: object, messageMaxBytes: number): Buffer {
  const json = JSON.stringify(message)
  const length = Buffer.byteLength(json)
  if (length > messageMaxBytes) throw new Error(`A message of ${length} bytes is too long.`)
  const bytes = Buffer.allocUnsafe(headerBytes + length)
  bytes.writeUInt32BE(length)
  bytes.write(json, headerBytes)
  return bytes
}

/** Errors, of the function it returns: a message that is too long or isn't JSON. */
function createReader(
  messageMaxBytes: number,
  onMessage: (message: unknown) => void,
): (bytes: Buffer) => void {
  let chunks: Buffer[] = []
  let gathered = 0
  /** Bytes that there must be before it is worth a look */
  let needed = headerBytes
  return (bytes) => {
    chunks.push(bytes)
    gathered += bytes.length
    if (gathered < needed) return
    let rest = chunks.length === 1 ? bytes : Buffer.concat(chunks, gathered)
    for (;;) {
      needed = headerBytes
      if (rest.length < needed) break
      const length = rest.readUInt32BE()
      if (length > messageMaxBytes) throw new Error(`a message of ${length} bytes`)
      needed += length
      if (rest.length < needed) break
      const json = rest.toString('utf8', headerBytes, needed)
      rest = rest.subarray(needed)
      onMessage(JSON.parse(json))
    }
    chunks = rest.length > 0 ? [rest] : []
    gathered = rest.length
  }
}
