/** Timing and the arithmetic on it. All times in milliseconds. */

export interface Summary {
  count: number
  p50: number
  p95: number
  p99: number
  max: number
}

/** Runs `task` `count` times, `parallel` at once, after `warmUp` runs that don't count; one duration per run. */
export async function sample(
  task: (index: number) => Promise<unknown>,
  { count, parallel = 1, warmUp = 0 }: { count: number; parallel?: number; warmUp?: number },
): Promise<number[]> {
  for (let i = 0; i < warmUp; i++) await task(-1 - i)
  const durations: number[] = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      const index = next++
      const begun = performance.now()
      await task(index)
      durations.push(performance.now() - begun)
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return durations
}

export function summarize(durations: number[]): Summary {
  const sorted = [...durations].sort((a, b) => a - b)
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
  return {
    count: sorted.length,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: sorted.at(-1) ?? Number.NaN,
  }
}

/** Duration of one run. */
export async function timed(task: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await task()
  return performance.now() - begun
}
