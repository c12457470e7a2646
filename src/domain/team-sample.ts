/** What a team did at one time, for its graphs. */
export interface TeamSample {
  teamId: string
  /** Unix milliseconds */
  at: number
  /** Running then */
  runningSandboxes: number
  /** Sandboxes that started since the sample before, per second */
  startsPerSecond: number
}

export interface TeamSampleStore {
  add(samples: readonly TeamSample[]): Promise<void>
  /**
   * One sample for each step of time that has any, oldest first: the largest figures of the step, at its last time.
   * `from` and `to` are Unix milliseconds, inclusive.
   */
  list(filter: { teamId: string; from: number; to: number; stepMs: number }): Promise<TeamSample[]>
  /** The sample with the largest figure, the newest of equals. */
  max(filter: {
    teamId: string
    from: number
    to: number
    figure: 'runningSandboxes' | 'startsPerSecond'
  }): Promise<TeamSample | undefined>
  /** Removes those from before a time, Unix milliseconds. */
  removeBefore(at: number): Promise<void>
}
