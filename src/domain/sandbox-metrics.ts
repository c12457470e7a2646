/** What a sandbox used at one time, as seen from inside. Sizes are bytes. */
export interface SandboxMetrics {
  sandboxId: string
  /** Unix milliseconds */
  at: number
  cpuCount: number
  /** Percent of all its CPUs */
  cpuUsedPct: number
  memUsed: number
  memTotal: number
  memCache: number
  diskUsed: number
  diskTotal: number
}

export interface SandboxMetricsStore {
  add(samples: readonly SandboxMetrics[]): Promise<void>
  /** Oldest first; `from` and `to` are Unix milliseconds, inclusive. */
  list(filter: { sandboxId: string; from: number; to: number; limit: number }): Promise<SandboxMetrics[]>
  /** The newest sample of each that has one. */
  latest(sandboxIds: readonly string[]): Promise<SandboxMetrics[]>
  /**
   * Of those from a time on (inclusive) and before another, keeps one for each sandbox and step of `stepMs`: the
   * step's first, which may be older than `from`.
   */
  thin(range: { from: number; before: number; stepMs: number }): Promise<void>
  /** Removes those from before a time, and those of sandboxes that are gone. */
  trim(before: number): Promise<void>
}
