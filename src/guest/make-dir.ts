import { type Entry, parseEntry } from './entry.ts'
import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import type { PathRequest } from './path-request.ts'

/**
 * Creates a directory and its parents. Errors: `conflict` (is there already), `invalid_argument` (a file is there),
 * `unauthenticated` (user), `resource_exhausted`, `unavailable`, `canceled`.
 */
export function makeDir(guest: Guest, request: PathRequest, signal: AbortSignal): Promise<Entry> {
  return callUnary(guest, { ...request, op: 'make-dir' }, { signal }, (reply) =>
    parseEntry(reply.object('entry')),
  )
}
