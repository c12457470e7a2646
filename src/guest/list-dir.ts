import { ServerError } from '../domain/error.ts'
import { elementsOf } from './elements.ts'
import { type Entry, parseEntry } from './entry.ts'
import { frames, openStream, type Step, unexpectedFrame, type Values } from './exchange.ts'
import { type Frame, frameType } from './frames.ts'
import type { Guest } from './guest.ts'
import type { PathRequest } from './path-request.ts'

export interface ListDirRequest extends PathRequest {
  /** How many levels, at least 1 */
  depth: number
}

/** What one listing may take on the wire between agent and server, in bytes: more than a million entries. */
const listingMaxBytes = 256 * 1024 * 1024

/**
 * The entries below a directory, depth first in lexical order, without itself: as they come, and at the pace of the
 * consumer, who takes each batch before it asks for the next. A batch is read as it is iterated over, in steps as long as
 * the consumer's. Errors: `not_found`, `invalid_argument` (not a directory), `unauthenticated` (user), `unavailable`,
 * `canceled`; while iterating also `resource_exhausted` (too long) and, within a batch, `internal`.
 */
export async function listDir(
  guest: Guest,
  request: ListDirRequest,
  signal: AbortSignal,
): Promise<Values<Iterable<Entry>>> {
  const { call } = await openStream(guest, { ...request, op: 'list-dir' }, { signal }, () => undefined)
  let bytes = 0
  return frames(call, (frame: Frame): Step<Iterable<Entry>> => {
    if (frame.type === frameType.end) return { done: true }
    if (frame.type !== frameType.item) throw unexpectedFrame(frame)
    bytes += frame.payload.length
    if (bytes > listingMaxBytes) {
      throw new ServerError(
        'resource_exhausted',
        'The directory has too many entries to list. List it with a smaller depth.',
      )
    }
    return { value: readEntries(frame.payload) }
  })
}

function* readEntries(payload: Buffer): Generator<Entry, void> {
  for (const fields of elementsOf(payload, 'entries')) yield parseEntry(fields)
}
