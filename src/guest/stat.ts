import { type Entry, parseEntry } from './entry.ts'
import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import type { PathRequest } from './path-request.ts'

/** Describes what is at a path. Errors: `not_found`, `unauthenticated` (user), `invalid_argument`, `unavailable`, `canceled`. */
export function stat(guest: Guest, request: PathRequest, signal: AbortSignal): Promise<Entry> {
  return callUnary(guest, { ...request, op: 'stat' }, { signal }, (reply) =>
    parseEntry(reply.object('entry')),
  )
}
