/** The Connect protocol's envelopes: `u8 flags, u32 big-endian length, message` (e2b-wire 3.1). */

/** How messages are written down. */
export type Codec = 'json' | 'proto'

export const envelopeFlags = { compressed: 0x01, endStream: 0x02 } as const

export const envelopeHeadBytes = 5

/** The codec of a stream by its content type; undefined for any other. */
export function streamCodecOf(contentType: string | undefined): Codec | undefined {
  const match = /^application\/connect\+(?:(json)(?:; ?charset=utf-?8)?|proto)$/i.exec(contentType ?? '')
  if (match === null) return undefined
  return match[1] === undefined ? 'proto' : 'json'
}

/** The codec of a single message by its content type; undefined for any other. */
export function unaryCodecOf(contentType: string | undefined): Codec | undefined {
  const match = /^application\/(?:(json)(?:; ?charset=utf-?8)?|proto)$/i.exec(contentType ?? '')
  if (match === null) return undefined
  return match[1] === undefined ? 'proto' : 'json'
}

/** A message in its envelope. */
export function encodeEnvelope(flags: number, message: Uint8Array | string): Buffer {
  const length = typeof message === 'string' ? Buffer.byteLength(message) : message.length
  const envelope = Buffer.allocUnsafe(envelopeHeadBytes + length)
  writeEnvelopeHead(envelope, flags, length)
  if (typeof message === 'string') envelope.write(message, envelopeHeadBytes)
  else envelope.set(message, envelopeHeadBytes)
  return envelope
}

/** Writes what stands before a message of `length` bytes, and returns where the message begins. */
export function writeEnvelopeHead(target: Buffer, flags: number, length: number, at = 0): number {
  target.writeUInt8(flags, at)
  return target.writeUInt32BE(length, at + 1)
}
