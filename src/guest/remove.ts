import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import { type PathRequest, treeTimeoutMs } from './path-request.ts'

/** Removes a tree; removing nothing succeeds. Errors: `unauthenticated` (user), `unavailable`, `canceled`. */
export function remove(guest: Guest, request: PathRequest, signal: AbortSignal): Promise<void> {
  const options = { signal, replyTimeoutMs: treeTimeoutMs }
  return callUnary(guest, { ...request, op: 'remove' }, options, () => undefined)
}
