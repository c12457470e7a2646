/** Divides a stretch of time into phases, which add up to the whole. */
export interface PhaseClock<Name extends string> {
  /** Those that have ended, in order */
  readonly phases: { name: Name; ms: number }[]
  /** Ends the phase that runs, under that name. */
  end(name: Name): void
  /** From the start to now, in ms. */
  totalMs(): number
}

/** `since`: when the first one began, as `performance.now()` says it. */
export function startPhaseClock<Name extends string>(since = performance.now()): PhaseClock<Name> {
  let last = since
  const phases: { name: Name; ms: number }[] = []
  return {
    phases,
    end(name) {
      const now = performance.now()
      phases.push({ name, ms: now - last })
      last = now
    },
    totalMs: () => performance.now() - since,
  }
}
