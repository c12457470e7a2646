import type { Guest } from './guest.ts'
import { openProcessStream, type ProcessStream } from './process-stream.ts'
import type { Selector } from './selector.ts'

/** Follows a process from now on. Errors: `not_found`, `unavailable`, `internal`, `canceled`. */
export function attach(guest: Guest, selector: Selector, signal: AbortSignal): Promise<ProcessStream> {
  return openProcessStream(guest, { ...selector, op: 'attach' }, { signal })
}
