import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'

/**
 * Ends all processes and the agent: SIGTERM now, SIGKILL after `graceMs` (at most 60000). Resolves when the agent has
 * accepted, not when it is gone. Errors: `invalid_argument`, `unavailable`, `canceled`.
 */
export function shutdown(guest: Guest, graceMs: number, signal: AbortSignal): Promise<void> {
  return callUnary(guest, { op: 'shutdown', graceMs }, { signal }, () => undefined)
}
