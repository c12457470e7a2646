import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'

/** What a guest is told before it is used; whatever is absent goes back to the agent's default. */
export interface Configuration {
  /** Environment of every process */
  env?: Record<string, string>
  /** Default user */
  user?: string
  /** Default working directory */
  workdir?: string
  sandboxId?: string
  templateId?: string
  hostname?: string
  /** Unix milliseconds; refused where the agent may not set the clock, unless it is within a second */
  clockMs?: number
}

/** Errors: `invalid_argument`, `failed_precondition` (clock), `unavailable`, `internal`, `canceled`. */
export function configure(guest: Guest, configuration: Configuration, signal: AbortSignal): Promise<void> {
  return callUnary(guest, { ...configuration, op: 'configure' }, { signal }, () => undefined)
}
