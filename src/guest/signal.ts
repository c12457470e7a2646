import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import type { Selector } from './selector.ts'

export const signalNumbers = { SIGKILL: 9, SIGTERM: 15 } as const

/** Signals a process and all that it has started. Errors: `not_found`, `unavailable`, `canceled`. */
export function signal(
  guest: Guest,
  selector: Selector,
  name: keyof typeof signalNumbers,
  abort: AbortSignal,
): Promise<void> {
  const request = { ...selector, op: 'signal', signal: signalNumbers[name] }
  return callUnary(guest, request, { signal: abort }, () => undefined)
}
