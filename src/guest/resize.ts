import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import type { Selector } from './selector.ts'

/** Sets the size of a process's terminal, in characters. Errors: `not_found`, `invalid_argument`, `unavailable`, `canceled`. */
export function resize(
  guest: Guest,
  selector: Selector,
  size: { cols: number; rows: number },
  signal: AbortSignal,
): Promise<void> {
  const request = { ...selector, op: 'resize', cols: size.cols, rows: size.rows }
  return callUnary(guest, request, { signal }, () => undefined)
}
