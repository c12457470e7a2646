/** Longest piece of output that is one line, in bytes; what is longer is broken. */
const lineMaxBytes = 4096
const lineFeed = 0x0a

/** Cuts a stream of output into lines. What isn't UTF-8 becomes replacement characters. */
export interface OutputLines {
  /** The lines that end with these bytes. */
  take(bytes: Buffer): string[]
  /** What is left without an end. */
  rest(): string[]
}

export function createOutputLines(): OutputLines {
  let held: Buffer = Buffer.alloc(0)

  return {
    take(bytes) {
      let left = held.length === 0 ? bytes : Buffer.concat([held, bytes])
      const lines: string[] = []
      for (;;) {
        const end = left.subarray(0, lineMaxBytes + 1).indexOf(lineFeed)
        if (end < 0 && left.length <= lineMaxBytes) break
        lines.push(lineOf(left.subarray(0, end < 0 ? lineMaxBytes : end)))
        left = left.subarray(end < 0 ? lineMaxBytes : end + 1)
      }
      // A copy, so that a few bytes don't keep a large piece.
      held = Buffer.from(left)
      return lines.filter((line) => line !== '')
    },
    rest() {
      const line = lineOf(held)
      held = Buffer.alloc(0)
      return line === '' ? [] : [line]
    },
  }
}

/** Without the carriage returns of progress bars, of which the last state counts, and without NUL. */
function lineOf(bytes: Buffer): string {
  const states = bytes.toString('utf8').replaceAll('\0', '').split('\r')
  return states.findLast((state) => state !== '') ?? ''
}
