/** Inputs as JSON that people can read: bytes are text where they are ASCII, else base64. */

/** The JSON of an input. */
export function encodeInput(input: unknown): string {
  return `${JSON.stringify(input, toPlain, 2)}\n`
}

/** What `encodeInput` was given. */
export function decodeInput(json: string): unknown {
  return JSON.parse(json, fromPlain)
}

function toPlain(_key: string, value: unknown): unknown {
  // JSON.stringify has called toJSON of buffers before it asks.
  if (!isObject(value) || value.type !== 'Buffer' || !Array.isArray(value.data)) return value
  const bytes = Buffer.from(value.data)
  const isAscii = bytes.every((byte) => byte < 0x80)
  return isAscii ? { $ascii: bytes.toString('latin1') } : { $base64: bytes.toString('base64') }
}

function fromPlain(_key: string, value: unknown): unknown {
  if (!isObject(value)) return value
  if (typeof value.$ascii === 'string') return Buffer.from(value.$ascii, 'latin1')
  if (typeof value.$base64 === 'string') return Buffer.from(value.$base64, 'base64')
  return value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
