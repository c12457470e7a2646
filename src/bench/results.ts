/** What a run of the benchmark finds, as its JSON file has it. */
import { z } from 'zod'
import { type Sampled, summarize } from './statistics.ts'

const measured = z.object({
  /** How many runs, or things, it is of; those that failed aren't among them */
  count: z.number(),
  failed: z.number(),
  /** In the figure's unit; where there is one value only, that */
  p50: z.number(),
  p95: z.number().optional(),
  p99: z.number().optional(),
  max: z.number().optional(),
  /** Runs a second, from the first one's begin to the last one's end */
  perSecond: z.number().optional(),
})

const figure = z.object({
  /** The same in every run, as `create.c10` */
  id: z.string().max(100),
  what: z.string().max(300),
  unit: z.enum(['ms', 's', 'MB/s', 'MB', 'KB']),
  ours: measured,
  /** By the engine's own client, in the same run */
  baseline: measured.extend({ what: z.string().max(300) }).optional(),
})

const environment = z.object({
  /** ISO 8601 */
  at: z.string(),
  version: z.string(),
  machine: z.object({
    cpu: z.string(),
    cpus: z.number(),
    memoryMb: z.number(),
    kernel: z.string(),
    node: z.string(),
  }),
  runtime: z.string(),
  /** Name and version of the client library that everything went through */
  client: z.string(),
  /** Version of the engine that the baselines are of; null: none */
  engine: z.string().nullable(),
})

export const resultsSchema = environment.extend({
  figures: z.array(figure).max(1000),
  /** What wasn't measured, or failed, in sentences */
  notes: z.array(z.string().max(2000)).max(1000),
})

export type Measured = z.infer<typeof measured>
export type Figure = z.infer<typeof figure>
export type Environment = z.infer<typeof environment>
export type Results = z.infer<typeof resultsSchema>

/** Times of runs. `perSecond`: whether how many there are in a second is of interest. */
export function measuredTimes({ durations, wallMs, failures }: Sampled, perSecond = false): Measured {
  const { count, ...spread } = summarize(durations)
  return {
    count,
    failed: failures.length,
    ...spread,
    ...(perSecond && { perSecond: count / (wallMs / 1000) }),
  }
}

/** How fast that many megabytes were moved; the percentiles are of the slow side. */
export function measuredRates({ durations, failures }: Sampled, megabytes: number): Measured {
  const { count, p50, p95, p99, max } = summarize(durations)
  const rate = (ms: number) => megabytes / (ms / 1000)
  return {
    count,
    failed: failures.length,
    p50: rate(p50),
    p95: rate(p95),
    p99: rate(p99),
    max: rate(max),
  }
}

/** One value that `count` things share or were measured together by. */
export function measuredOnce(value: number, count = 1): Measured {
  return { count, failed: 0, p50: value }
}
