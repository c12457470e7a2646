import type { Call } from './call.ts'
import { type Entry, parseEntry } from './entry.ts'
import { frames, openStream, type Step, unexpectedFrame } from './exchange.ts'
import { parseFields } from './fields.ts'
import { type Frame, frameType, protocolViolation } from './frames.ts'
import type { Guest } from './guest.ts'
import type { PathRequest } from './path-request.ts'

export interface ReadRequest extends PathRequest {
  /** Where to begin, in bytes */
  offset?: number
  /** How much to read, in bytes; absent: until end of file */
  length?: number
}

export interface ReadOptions {
  /** Whether a piece of the body is done with when the next is asked for, so that all may have the same memory */
  reusesBuffer?: boolean
}

/** An open file. Whoever doesn't read it to its end calls `body.return`. */
export interface FileStream {
  /** What the path resolves to, at the time of opening */
  entry: Entry
  /** Whether it is as long as the entry's size says: what the kernel makes up as it is read (proc, sysfs) isn't */
  hasSize: boolean
  /** The bytes up to end of file, whatever the entry's size says. Nothing is read ahead of the consumer. */
  body: AsyncIterableIterator<Buffer, undefined>
}

/**
 * Opens a file for reading. Errors: `not_found`, `invalid_argument` (a directory, with `errno` `EISDIR`, or not a
 * regular file), `unauthenticated` (user), `unavailable`, `canceled`.
 */
export async function read(
  guest: Guest,
  request: ReadRequest,
  signal: AbortSignal,
  options: ReadOptions = {},
): Promise<FileStream> {
  const { call, reply } = await openStream(
    guest,
    { ...request, op: 'read' },
    { signal, ...options },
    (fields) => ({
      entry: parseEntry(fields.object('entry')),
      hasSize: fields.boolean('hasSize'),
    }),
  )
  return { ...reply, body: fileBytes(call) }
}

function fileBytes(call: Call): FileStream['body'] {
  let received = 0
  return frames(call, (frame: Frame): Step<Buffer> => {
    if (frame.type === frameType.data) {
      received += frame.payload.length
      return { value: frame.payload }
    }
    if (frame.type !== frameType.end) throw unexpectedFrame(frame)
    const sent = parseFields(frame.payload).integer('bytes', 0, Number.MAX_SAFE_INTEGER)
    if (sent !== received) throw protocolViolation(`${received} bytes of a file where ${sent} were announced`)
    return { done: true }
  })
}
