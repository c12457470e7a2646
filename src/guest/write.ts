import { type Call, openCall } from './call.ts'
import { type Entry, parseEntry } from './entry.ts'
import { feed, readFields } from './exchange.ts'
import { frameType, inputMaxBytes } from './frames.ts'
import type { Guest } from './guest.ts'
import type { PathRequest } from './path-request.ts'

export interface WriteRequest extends PathRequest {
  /** Replaces what the file had; absent removes it */
  metadata?: Record<string, string>
}

/** A file that was written. */
export interface WrittenFile {
  /** Absolute, as resolved for the user */
  path: string
  entry: Entry
}

/**
 * Creates or replaces a file, and its missing parents, with what `source` yields, at the pace the agent writes. The
 * source belongs to the caller, who ends it where this rejects. Errors: `invalid_argument` (a directory, with `errno`
 * `EISDIR`), `resource_exhausted` (`ENOSPC`), `unauthenticated` (user), `unavailable`, `canceled`; what the source
 * throws, as it is: the file then has what had come.
 */
export async function write(
  guest: Guest,
  request: WriteRequest,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<WrittenFile> {
  // What a slow client sends may take its time: the agent opens the file with the first of it.
  const call = await openCall(
    guest,
    { ...request, op: 'write' },
    { signal, answersAfterBytes: inputMaxBytes },
  )
  return feed(call, source, readOutcome(call))
}

async function readOutcome(call: Call): Promise<WrittenFile> {
  const path = (await readFields(call, frameType.reply)).string('path')
  const end = await readFields(call, frameType.end)
  return { path, entry: parseEntry(end.object('entry')) }
}
