/** Timing and the arithmetic on it. All times in milliseconds. */

export interface Summary {
  count: number
  p50: number
  p95: number
  p99: number
  max: number
}

export interface SampleOptions {
  count: number
  /** How many run at once */
  parallel?: number
  /** Runs before, which don't count; their indices are negative */
  warmUp?: number
  signal?: AbortSignal
}

export interface Sampled {
  /** Of runs that succeeded */
  durations: number[]
  /** From the first run's begin to the last one's end */
  wallMs: number
  /** What the runs that failed said */
  failures: string[]
}

/** Runs a task again and again, some at once. Errors: the signal's reason, and what a run that doesn't count throws. */
export async function sampleAll(
  task: (index: number) => Promise<unknown>,
  { count, parallel = 1, warmUp = 0, signal }: SampleOptions,
): Promise<Sampled> {
  for (let i = 0; i < warmUp; i++) await task(-1 - i)
  const durations: number[] = []
  const failures: string[] = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      signal?.throwIfAborted()
      const index = next++
      const begun = performance.now()
      try {
        await task(index)
        durations.push(performance.now() - begun)
      } catch (error) {
        failures.push((error as Error).message)
      }
    }
  }
  const wallMs = await timed(() => Promise.all(Array.from({ length: parallel }, worker)))
  signal?.throwIfAborted()
  return { durations, wallMs, failures }
}

/** As `sampleAll`, where no run may fail; one duration per run. */
export async function sample(
  task: (index: number) => Promise<unknown>,
  options: SampleOptions,
): Promise<number[]> {
  const { durations, failures } = await sampleAll(task, options)
  if (failures.length > 0) throw new Error(`${failures.length} of ${options.count} failed: ${failures[0]}`)
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
