import { ServerError } from '../domain/error.ts'
import { type Entry, parseEntry } from './entry.ts'
import { frames, openStream, type Step, unexpectedFrame } from './exchange.ts'
import { parseFields } from './fields.ts'
import { type Frame, frameType } from './frames.ts'
import type { Guest } from './guest.ts'
import type { PathRequest } from './path-request.ts'

export interface ListDirRequest extends PathRequest {
  /** How many levels, at least 1 */
  depth: number
}

/** What one listing may take on the wire between agent and server, in bytes: about 200,000 entries. */
const listingMaxBytes = 64 * 1024 * 1024

/**
 * The entries below a directory, depth first in lexical order, without itself. Errors: `not_found`,
 * `invalid_argument` (not a directory), `resource_exhausted` (too long), `unauthenticated` (user), `unavailable`,
 * `canceled`.
 */
export async function listDir(guest: Guest, request: ListDirRequest, signal: AbortSignal): Promise<Entry[]> {
  const { call } = await openStream(guest, { ...request, op: 'list-dir' }, { signal }, () => undefined)
  const entries: Entry[] = []
  let bytes = 0
  for await (const batch of frames(call, toBatch)) {
    bytes += batch.bytes
    if (bytes > listingMaxBytes) {
      throw new ServerError(
        'resource_exhausted',
        'The directory has too many entries to list. List it with a smaller depth.',
      )
    }
    for (const entry of batch.entries) entries.push(entry)
  }
  return entries
}

function toBatch(frame: Frame): Step<{ bytes: number; entries: Entry[] }> {
  if (frame.type === frameType.end) return { done: true }
  if (frame.type !== frameType.item) throw unexpectedFrame(frame)
  const entries = parseFields(frame.payload).objects('entries').map(parseEntry)
  return { value: { bytes: frame.payload.length, entries } }
}
