/**
 * Admits a fixed number at once. Whoever waits stands in the line of a key; permits that come free go to the lines in
 * turn, and within one to whoever came first, so that a long line holds up nobody but itself.
 */
export interface FairSemaphore {
  /**
   * Resolves with the function that gives the permit back; undefined when the line or the room for all lines is full.
   * Rejects with the signal's reason when it aborts first; who waited leaves the line at once.
   */
  acquire(key: string, signal: AbortSignal): Promise<() => void> | undefined
  /** How many hold a permit. */
  held(): number
  /** How many wait. */
  waiting(): number
}

export interface FairSemaphoreOptions {
  /** How many are admitted at once, at least 1 */
  permits: number
  /** How many may wait in one line */
  lineMax: number
  /** How many may wait in all lines together */
  waitingMax: number
}

export function createFairSemaphore({ permits, lineMax, waitingMax }: FairSemaphoreOptions): FairSemaphore {
  let held = 0
  let waiting = 0
  /** Lines that aren't empty; the first is the next one's turn */
  const lines = new Map<string, Set<() => void>>()

  /** Giving back twice gives back once. */
  const permit = () => {
    held++
    let mine = true
    return () => {
      if (!mine) return
      mine = false
      held--
      admit()
    }
  }

  const leave = (key: string, entry: () => void) => {
    const line = lines.get(key)
    if (line?.delete(entry) !== true) return
    waiting--
    if (line.size === 0) lines.delete(key)
  }

  const admit = () => {
    while (held < permits) {
      const turn = lines.entries().next()
      if (turn.done) return
      const [key, line] = turn.value
      const [entry] = line
      if (entry === undefined) return
      leave(key, entry)
      // To the end: the others' turn comes first.
      if (lines.delete(key)) lines.set(key, line)
      entry()
    }
  }

  return {
    held: () => held,
    waiting: () => waiting,

    acquire(key, signal) {
      if (signal.aborted) return Promise.reject(signal.reason)
      if (held < permits && waiting === 0) return Promise.resolve(permit())
      if (waiting >= waitingMax || (lines.get(key)?.size ?? 0) >= lineMax) return undefined
      return new Promise((resolve, reject) => {
        const onAbort = () => {
          leave(key, enter)
          reject(signal.reason)
        }
        const enter = () => {
          signal.removeEventListener('abort', onAbort)
          resolve(permit())
        }
        signal.addEventListener('abort', onAbort, { once: true })
        const line = lines.get(key) ?? new Set()
        line.add(enter)
        lines.set(key, line)
        waiting++
      })
    },
  }
}
