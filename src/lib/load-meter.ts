/** Time between two looks at the event loop, in ms. */
const intervalMs = 50

export interface LoadMeter {
  /** What this process takes; of the event loop, since the last reading. */
  read(): {
    loopDelayMs: { mean: number; max: number }
    cpuMs: number
    rssBytes: number
    heapBytes: number
  }
  close(): void
}

/**
 * Watches this process, by a timer: how late it is says how long other work has held up the event loop. (Node's own
 * `monitorEventLoopDelay` passes over the first interval after each reset.)
 */
export function createLoadMeter(): LoadMeter {
  let last = performance.now()
  let sum = 0
  let count = 0
  let max = 0
  const look = () => {
    const now = performance.now()
    const late = Math.max(0, now - last - intervalMs)
    last = now
    sum += late
    count++
    max = Math.max(max, late)
  }
  const timer = setInterval(look, intervalMs).unref()
  return {
    read() {
      // One that is late right now counts, as it would be there only the next time.
      if (count === 0 || performance.now() - last > intervalMs) look()
      const loopDelayMs = { mean: sum / count, max }
      sum = count = max = 0
      const { user, system } = process.cpuUsage()
      const { rss, heapUsed } = process.memoryUsage()
      return { loopDelayMs, cpuMs: (user + system) / 1000, rssBytes: rss, heapBytes: heapUsed }
    },
    close: () => clearInterval(timer),
  }
}
