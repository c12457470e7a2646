import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import type { Selector } from './selector.ts'

/** Closes a process's standard input. Errors: `not_found`, `failed_precondition` (a terminal), `unavailable`, `canceled`. */
export function closeInput(guest: Guest, selector: Selector, signal: AbortSignal): Promise<void> {
  return callUnary(guest, { ...selector, op: 'close-input' }, { signal }, () => undefined)
}
