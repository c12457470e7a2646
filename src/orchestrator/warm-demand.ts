/** How many guests of one kind should wait for a sandbox, judged by when sandboxes of it were asked for. */

export interface Demand {
  /** One was asked for at `now`. */
  note(now: number): void
  /** As many as its busiest moment took lately, so that the next such moment finds them. */
  wanted(now: number): number
}

export interface DemandOptions {
  /** Whether one is to wait even though nobody has asked */
  isKept: boolean
}

/** What counts as one moment, and how long it is remembered, in ms. */
const momentMs = 2_000
const memoryMs = 5 * 60_000
/** What was asked for once may never be again. */
const repeats = 2
/** Requests that are remembered; as many could never wait. */
const noted = 512

export function createDemand({ isKept }: DemandOptions): Demand {
  let times: number[] = []
  return {
    note(now) {
      times.push(now)
      if (times.length > noted) times.shift()
    },
    wanted(now) {
      times = times.filter((time) => now - time < memoryMs)
      if (!isKept && times.length < repeats) return 0
      let busiest = isKept ? 1 : 0
      let first = 0
      for (const [last, time] of times.entries()) {
        while (time - (times[first] ?? time) >= momentMs) first++
        busiest = Math.max(busiest, last - first + 1)
      }
      return busiest
    },
  }
}
