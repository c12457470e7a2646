/** Time as an argument, so that tests can move it. */
export interface Clock {
  /** Unix time in milliseconds, with a fraction; never the same twice and never backwards within one clock. */
  now(): number
}

/**
 * The machine's wall clock. Two sandboxes created within a millisecond must still sort by their creation
 * (e2b-wire 8, gotcha 9), so equal readings are moved apart by a microsecond.
 */
export function systemClock(): Clock {
  let last = 0
  return {
    now() {
      const wall = Date.now()
      // A wall clock set back by more than a second is followed; smaller steps back are smoothed over.
      last = wall > last || last - wall > 1000 ? wall : last + 0.001
      return last
    },
  }
}
