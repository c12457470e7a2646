/** The first part of an answer: gathered from a connection, read, and asked how the rest will come. */

/** The first part of an answer. */
export interface AnswerHead {
  /** 100 … 999 */
  statusCode: number
  statusMessage: string
  /** Names and values by turns, as they were sent, in Latin-1 */
  rawHeaders: string[]
  /** The same names in lower case */
  names: string[]
  /** The members of all `Connection` headers, in lower case */
  connection: string[]
  /** HTTP/1.1, not 1.0 */
  isHttp11: boolean
}

/** The longest head, status line and all headers, in bytes. */
export const headMaxBytes = 64 * 1024

const newline = 0x0a
const carriageReturn = 0x0d

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const forbidden = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)/
const token = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** Gathers the bytes of a head over as many pieces as it comes in; each byte is looked at once. */
export function createHeadCollector() {
  let pieces: Buffer[] = []
  let length = 0
  let isComplete = false
  /** Empty lines before the first other one are let through */
  let hasText = false
  let isLineEmpty = true

  return {
    /** Takes what belongs to the head and returns where that ends. */
    collect(bytes: Buffer, from: number): number {
      const limit = Math.min(bytes.length, from + headMaxBytes - length + 1)
      let at = from
      while (at < limit && !isComplete) {
        const byte = bytes[at++]
        if (byte === newline) {
          isComplete = isLineEmpty && hasText
          isLineEmpty = true
        } else if (byte !== carriageReturn) {
          isLineEmpty = false
          hasText = true
        }
      }
      length += at - from
      if (length > headMaxBytes) throw new Error('The head of the answer is too long.')
      pieces.push(slice(bytes, from, at))
      return at
    },
    /** The head as text once it is whole, which starts the next. */
    take(): string | undefined {
      if (!isComplete) return undefined
      const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
      pieces = []
      length = 0
      isComplete = false
      hasText = false
      isLineEmpty = true
      let start = 0
      while (whole[start] === carriageReturn || whole[start] === newline) start++
      return whole.toString('latin1', start)
    },
  }
}

/** Reads a head. Errors: an `Error` for what isn't a valid one. */
export function parseHead(text: string): AnswerHead {
  if (forbidden.test(text)) throw new Error('The head of the answer has control characters.')
  const lineEnd = text.indexOf('\n')
  const status = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([^\r]*))?\r?$/.exec(text.slice(0, lineEnd))
  if (status === null) throw new Error('The answer does not begin with a status line of HTTP/1.')
  const rawHeaders: string[] = []
  const names: string[] = []
  const connection: string[] = []
  for (let at = lineEnd + 1; ; ) {
    const next = text.indexOf('\n', at)
    const line = text.slice(at, text.charCodeAt(next - 1) === carriageReturn ? next - 1 : next)
    if (line === '') break
    at = next + 1
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    // A line that continues the one before it begins with a space, and so has no name either.
    if (colon < 1 || !token.test(name)) throw new Error('The answer has a header without a valid name.')
    const value = trim(line, colon + 1)
    rawHeaders.push(line.slice(0, colon), value)
    names.push(name)
    if (name === 'connection')
      for (const member of value.split(',')) connection.push(trim(member, 0).toLowerCase())
  }
  return {
    statusCode: Number(status[2]),
    statusMessage: status[3] ?? '',
    rawHeaders,
    names,
    connection,
    isHttp11: status[1] === '1',
  }
}

/**
 * How the end of an answer is found: chunks, a length in bytes, or neither. Errors: an `Error` where it says several
 * things.
 */
export function framingOf({ names, rawHeaders }: AnswerHead): 'chunked' | number | undefined {
  let framing: 'chunked' | number | undefined
  for (let i = 0; i < names.length; i++) {
    const name = names[i]
    if (name !== 'content-length' && name !== 'transfer-encoding') continue
    const value = rawHeaders[2 * i + 1]!
    if (framing !== undefined) throw new Error('The answer says twice how long it is.')
    if (name === 'content-length') {
      if (!/^\d{1,15}$/.test(value)) throw new Error('The answer has a length that is not a number.')
      framing = Number(value)
    } else {
      if (value.toLowerCase() !== 'chunked')
        throw new Error('The answer has a transfer coding other than chunked.')
      framing = 'chunked'
    }
  }
  return framing
}

/** A line from `from` on without spaces and tabs around. */
function trim(line: string, from: number): string {
  let start = from
  let end = line.length
  while (start < end && isBlank(line.charCodeAt(start))) start++
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--
  return line.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** A part of a buffer, which may be all of it. */
export function slice(bytes: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
}
