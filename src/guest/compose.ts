import { type Entry, parseEntry } from './entry.ts'
import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import { treeTimeoutMs } from './path-request.ts'

export interface ComposeRequest {
  /** 1 … 1000, in order */
  sources: string[]
  destination: string
  /** Absent: the default user */
  user?: string
}

/**
 * Joins files to one, which replaces what is at the destination at once, and removes them. Errors: `not_found`,
 * `invalid_argument` (a directory, too many), `resource_exhausted` (`ENOSPC`), `unauthenticated` (user), `unavailable`,
 * `canceled`.
 */
export function compose(guest: Guest, request: ComposeRequest, signal: AbortSignal): Promise<Entry> {
  const options = { signal, replyTimeoutMs: treeTimeoutMs }
  return callUnary(guest, { ...request, op: 'compose' }, options, (reply) =>
    parseEntry(reply.object('entry')),
  )
}
