/** Takes the chunks off a body (RFC 9112 7.1). Extensions and trailers are dropped. */

export interface ChunkDecoder {
  /** Whether the last chunk and the end behind it have come. */
  readonly isDone: boolean
  /** Begins a new body. */
  start(): void
  /** Decodes from `from` on and returns where it stopped. Errors: an `Error` for what isn't a chunked body. */
  decode(bytes: Buffer, from: number, onData: (piece: Buffer) => void): number
}

/** The longest line with a size, and the longest trailer section, in bytes. */
const sizeLineMaxBytes = 4096
const trailersMaxBytes = 16 * 1024

type State = 'size' | 'data' | 'data-end' | 'trailers' | 'done'

export function createChunkDecoder(): ChunkDecoder {
  let state: State = 'size'
  /** Bytes of the chunk that are still to come */
  let left = 0
  let line = ''
  let trailerBytes = 0

  /** Gathers a line without its end; undefined while it isn't whole. */
  const takeLine = (
    bytes: Buffer,
    from: number,
    maxBytes: number,
  ): { at: number; whole: string | undefined } => {
    const newline = bytes.indexOf(0x0a, from)
    const until = newline === -1 ? bytes.length : newline
    if (line.length + until - from > maxBytes)
      throw new Error('The body has a line between chunks that is too long.')
    line += bytes.toString('latin1', from, until)
    if (newline === -1) return { at: until, whole: undefined }
    const whole = line.endsWith('\r') ? line.slice(0, -1) : line
    line = ''
    return { at: newline + 1, whole }
  }

  const step = (bytes: Buffer, from: number, onData: (piece: Buffer) => void): number => {
    if (state === 'data') {
      const until = Math.min(bytes.length, from + left)
      left -= until - from
      if (left === 0) state = 'data-end'
      onData(bytes.subarray(from, until))
      return until
    }
    const { at, whole } = takeLine(bytes, from, state === 'trailers' ? trailersMaxBytes : sizeLineMaxBytes)
    if (state === 'trailers') trailerBytes += at - from
    if (trailerBytes > trailersMaxBytes) throw new Error('The body has trailers that are too long.')
    if (whole === undefined) return at
    if (state === 'size') {
      left = sizeOf(whole)
      state = left === 0 ? 'trailers' : 'data'
    } else if (state === 'data-end') {
      if (whole !== '') throw new Error('The body has a chunk that is longer than it says.')
      state = 'size'
    } else if (whole === '') state = 'done'
    return at
  }

  return {
    get isDone() {
      return state === 'done'
    },
    start() {
      state = 'size'
      left = 0
      line = ''
      trailerBytes = 0
    },
    decode(bytes, from, onData) {
      let at = from
      while (at < bytes.length && state !== 'done') at = step(bytes, at, onData)
      return at
    },
  }
}

function sizeOf(line: string): number {
  const size = /^([0-9a-f]{1,13})[\t ]*(?:;.*)?$/i.exec(line)?.[1]
  if (size === undefined) throw new Error('The body has a chunk whose size is not a number.')
  return Number.parseInt(size, 16)
}
