import { sleep } from '../lib/deadline.ts'
import type { Engine } from './engine.ts'
import type { ProcessTree } from './memory.ts'
import { type Figure, type Measured, measuredTimes } from './results.ts'
import type { Sandboxes } from './sandboxes.ts'
import { type Sampled, type SampleOptions, sampleAll } from './statistics.ts'

/** How much is measured. */
export interface Plan {
  /** How many at once, each a pass of its own */
  concurrency: readonly number[]
  /** Creates one at a time: of fewer than a hundred the 99th percentile says nothing */
  creates: number
  /** Runs of everything else that is done one at a time, and at least of each pass */
  runs: number
  /** Times that something large is moved or copied */
  largeRuns: number
  largeMb: number
  /** Sandboxes that are there at once, doing nothing; 0: that isn't measured */
  idle: number
  /** What memory gets to settle before it is looked at, in milliseconds */
  settleMs: number
  /** What each side gets to do what the other, or itself, has left behind its answers, in milliseconds */
  pauseMs: number
}

export interface BenchContext {
  sandboxes: Sandboxes
  /** Undefined: there are no baselines. */
  engine: Engine | undefined
  plan: Plan
  /** The processes of the server; undefined where they aren't ours to look at */
  processes: ProcessTree | undefined
  /** Waits until a guest waits for its sandbox; undefined: none is started ahead */
  untilWarm: (() => Promise<void>) | undefined
  record(figure: Figure): void
  /** What can't be said in a figure. */
  note(sentence: string): void
  signal: AbortSignal
}

/** One group of figures. Leaves no sandbox and no container behind where it isn't broken off. */
export type Measure = (context: BenchContext) => Promise<void>

/** Runs a task and its baseline, one after the other, each once what came before it has had time to be over. */
export async function besides(
  context: BenchContext,
  options: SampleOptions,
  ours: (index: number) => Promise<unknown>,
  theirs: (engine: Engine, index: number) => Promise<unknown>,
): Promise<[Sampled, Sampled | undefined]> {
  const { engine, plan, signal } = context
  await sleep(plan.pauseMs, signal)
  const own = await sampleAll(ours, { ...options, signal })
  if (engine === undefined) return [own, undefined]
  await sleep(plan.pauseMs, signal)
  return [own, await sampleAll((index) => theirs(engine, index), { ...options, signal })]
}

export interface FigureName {
  id: string
  what: string
  /** What the baseline is */
  than: string
}

/** Records times. `perSecond`: with how many there were in a second. */
export function recordTimes(
  { record, note }: Pick<BenchContext, 'record' | 'note'>,
  { id, what, than }: FigureName,
  [ours, theirs]: readonly [Sampled, Sampled | undefined],
  perSecond = false,
): void {
  for (const [who, { failures }] of [
    [what, ours],
    [than, theirs ?? { failures: [] }],
  ] as const) {
    if (failures.length > 0) note(`${who}: ${failures.length} failed, the first with: ${failures[0]}`)
  }
  record({
    ...{ id, what, unit: 'ms', ours: measuredTimes(ours, perSecond) },
    ...(theirs !== undefined && baseline(than, measuredTimes(theirs, perSecond))),
  })
}

export function baseline(what: string, measured: Measured): Pick<Figure, 'baseline'> {
  return { baseline: { what, ...measured } }
}
