import { type Entry, parseEntry } from './entry.ts'
import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import { treeTimeoutMs } from './path-request.ts'

export interface MoveRequest {
  source: string
  destination: string
  /** Absent: the default user */
  user?: string
}

/** Moves and answers with what is at the destination. Errors: `not_found`, `unauthenticated` (user), `unavailable`, `canceled`. */
export function move(guest: Guest, request: MoveRequest, signal: AbortSignal): Promise<Entry> {
  const options = { signal, replyTimeoutMs: treeTimeoutMs }
  return callUnary(guest, { ...request, op: 'move' }, options, (reply) => parseEntry(reply.object('entry')))
}
