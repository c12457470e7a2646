/** The small GET routes of envd (e2b-wire 3.5). */
import type { GuestMetrics } from '../guest/metrics.ts'

const mib = 1024 * 1024

/** The body of `GET /metrics`. Sizes are bytes unless the name says otherwise, `ts` is Unix seconds. */
export function presentMetrics(metrics: GuestMetrics): Record<string, number> {
  return {
    ts: Math.floor(metrics.timestampMs / 1000),
    cpu_count: metrics.cpuCount,
    cpu_used_pct: metrics.cpuUsedPct,
    mem_total: metrics.memTotal,
    mem_used: metrics.memUsed,
    mem_cache: metrics.memCache,
    mem_total_mib: Math.floor(metrics.memTotal / mib),
    mem_used_mib: Math.floor(metrics.memUsed / mib),
    disk_used: metrics.diskUsed,
    disk_total: metrics.diskTotal,
  }
}
