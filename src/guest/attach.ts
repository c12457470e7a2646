import type { Guest } from './guest.ts'
import { openProcessStream, type ProcessStream } from './process-stream.ts'
import type { Selector } from './selector.ts'

export interface Replay {
  /** Begins with what the agent has kept of the output, rather than now */
  replay?: boolean
  /** Leaves out what is older than this offset, in bytes; only with `replay` */
  since?: number
}

/**
 * Follows a process. Errors: `not_found`, `invalid_argument` (`since` lies beyond the output), `unavailable`,
 * `internal`, `canceled`.
 */
export function attach(
  guest: Guest,
  request: Selector & Replay,
  signal: AbortSignal,
): Promise<ProcessStream> {
  return openProcessStream(guest, { ...request, op: 'attach' }, { signal })
}
