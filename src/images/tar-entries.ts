/** Reads tar archives as engines write them: ustar, with the long names and sizes of GNU and pax. */
import { ServerError } from '../domain/error.ts'

const blockBytes = 512
/** Longest of the entries that say something of the next one, in bytes */
const extensionMaxBytes = 1 << 20

export interface TarEntry {
  name: string
  kind: 'file' | 'link' | 'other'
  /** Of links */
  target: string
  size: number
  /** To be read before the next entry; what is left of it is passed over */
  body: AsyncIterable<Buffer>
}

/** Errors: `invalid_argument` for what is no archive or ends early; those of the source. */
export async function* tarEntries(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const bytes = createReader(source)
  let longer: { name?: string; target?: string; size?: number } = {}
  for (;;) {
    const header = await bytes.exactly(blockBytes)
    if (header === undefined || header.every((byte) => byte === 0)) return
    checkSum(header)
    const type = String.fromCharCode(header[156]!)
    const size = longer.size ?? numberAt(header, 124, 12)
    if ('LKxg'.includes(type)) {
      const content = await bytes.extension(numberAt(header, 124, 12))
      if (type === 'L') longer.name = textAt(content, 0, content.length)
      if (type === 'K') longer.target = textAt(content, 0, content.length)
      if (type === 'x') longer = { ...longer, ...paxFields(content) }
      continue
    }
    const prefix = header.toString('latin1', 257, 262) === 'ustar' ? textAt(header, 345, 155) : ''
    const short = textAt(header, 0, 100)
    const left = { bytes: size }
    yield {
      name: longer.name ?? (prefix === '' ? short : `${prefix}/${short}`),
      kind: '\x0007'.includes(type) ? 'file' : '12'.includes(type) ? 'link' : 'other',
      target: longer.target ?? textAt(header, 157, 100),
      size,
      body: bytes.body(left),
    }
    for await (const _ of bytes.body(left));
    await bytes.exactly((blockBytes - (size % blockBytes)) % blockBytes)
    longer = {}
  }
}

function createReader(source: AsyncIterable<Buffer>) {
  const iterator = source[Symbol.asyncIterator]()
  let pending: Buffer = Buffer.alloc(0)
  /** Up to so many bytes, at least one; none at the end. */
  const some = async (most: number): Promise<Buffer | undefined> => {
    while (pending.length === 0) {
      const next = await iterator.next()
      if (next.done) return undefined
      pending = next.value
    }
    const taken = pending.subarray(0, most)
    pending = pending.subarray(taken.length)
    return taken
  }
  const exactly = async (count: number): Promise<Buffer | undefined> => {
    const parts: Buffer[] = []
    let left = count
    while (left > 0) {
      const part = await some(left)
      if (part === undefined) {
        if (left === count) return undefined
        throw refused('The archive ends early.')
      }
      parts.push(part)
      left -= part.length
    }
    return Buffer.concat(parts)
  }
  return {
    exactly,
    async extension(size: number): Promise<Buffer> {
      if (size > extensionMaxBytes) throw refused('The archive has a name that is too long.')
      const padded = await exactly(Math.ceil(size / blockBytes) * blockBytes)
      if (padded === undefined) throw refused('The archive ends early.')
      return padded.subarray(0, size)
    },
    async *body(left: { bytes: number }): AsyncGenerator<Buffer> {
      while (left.bytes > 0) {
        const part = await some(left.bytes)
        if (part === undefined) throw refused('The archive ends early.')
        left.bytes -= part.length
        yield part
      }
    },
  }
}

/** Of bytes without the field itself, which counts as spaces. */
function checkSum(header: Buffer): void {
  let sum = 8 * 0x20
  for (let at = 0; at < blockBytes; at++) if (at < 148 || at >= 156) sum += header[at]!
  if (sum !== numberAt(header, 148, 8)) throw refused('This is no tar archive.')
}

function textAt(bytes: Buffer, at: number, length: number): string {
  const field = bytes.subarray(at, at + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? length : end)
}

/** Octal, or, as GNU has it, binary with the first bit set. */
function numberAt(bytes: Buffer, at: number, length: number): number {
  if ((bytes[at]! & 0x80) !== 0) {
    const value = bytes.readUIntBE(at + length - 6, 6)
    if (bytes.subarray(at + 1, at + length - 6).some((byte) => byte !== 0))
      throw refused('The archive has a number that is too large.')
    return value
  }
  const text = textAt(bytes, at, length).trim()
  if (!/^[0-7]*$/.test(text)) throw refused('This is no tar archive.')
  return text === '' ? 0 : Number.parseInt(text, 8)
}

/** Records are `length key=value\n`. */
function paxFields(content: Buffer): { name?: string; target?: string; size?: number } {
  const fields: { name?: string; target?: string; size?: number } = {}
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at)
    const length = Number(content.toString('latin1', at, space))
    if (space === -1 || !Number.isInteger(length) || length <= space - at || at + length > content.length)
      throw refused('This is no tar archive.')
    const record = content.toString('utf8', space + 1, at + length - 1)
    const equals = record.indexOf('=')
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)]
    if (key === 'path') fields.name = value
    if (key === 'linkpath') fields.target = value
    if (key === 'size' && /^\d{1,15}$/.test(value)) fields.size = Number(value)
    at += length
  }
  return fields
}

function refused(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
