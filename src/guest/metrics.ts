import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'

/** What a sandbox uses, as seen from inside. */
export interface GuestMetrics {
  /** Unix milliseconds */
  timestampMs: number
  cpuCount: number
  /** Percent of all its CPUs */
  cpuUsedPct: number
  /** Bytes, as are those below */
  memTotal: number
  memUsed: number
  memCache: number
  diskUsed: number
  diskTotal: number
}

/** Errors: `unavailable`, `internal`, `canceled`. */
export function metrics(guest: Guest, signal: AbortSignal): Promise<GuestMetrics> {
  return callUnary(guest, { op: 'metrics' }, { signal }, (reply) => {
    const amount = (name: string) => reply.integer(name, 0, Number.MAX_SAFE_INTEGER)
    return {
      timestampMs: amount('timestampMs'),
      cpuCount: amount('cpuCount'),
      cpuUsedPct: reply.number('cpuUsedPct'),
      memTotal: amount('memTotal'),
      memUsed: amount('memUsed'),
      memCache: amount('memCache'),
      diskUsed: amount('diskUsed'),
      diskTotal: amount('diskTotal'),
    }
  })
}
