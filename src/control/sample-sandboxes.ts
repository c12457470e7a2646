/** What running sandboxes use, asked of their agents every few seconds and kept in ever coarser steps. */
import { setMaxListeners } from 'node:events'
import type { Sandbox } from '../domain/sandbox.ts'
import type { SandboxMetrics } from '../domain/sandbox-metrics.ts'
import { sleep } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { loopTurns } from '../lib/loop-turns.ts'
import type { ControlContext } from './context.ts'
import { sampleSandbox } from './sample-sandbox.ts'

/** Time between two samples of one sandbox, in ms (e2b-behaviour 2.7). */
const intervalMs = 5_000
/** Time between two looks for sandboxes whose time has come, in ms: one that has just started is sampled by the next. */
const lookMs = 1_000
/** Agents asked side by side. */
const parallel = 8
/** Looks between two at what may be thinned out: once a minute. */
const looksPerTrim = 60
const hourMs = 3600_000
/** What is older than `ageMs` is kept in steps of `stepMs`. */
const steps = [
  { ageMs: hourMs, stepMs: 30_000 },
  { ageMs: 6 * hourMs, stepMs: 60_000 },
  { ageMs: 12 * hourMs, stepMs: 120_000 },
  { ageMs: 24 * hourMs, stepMs: 300_000 },
]
/** How long anything is kept, in ms. */
const keptMs = 7 * 24 * hourMs
/** The time whose samples are thinned out without a pause, in ms: the store does it in one go. */
const windowMs = hourMs

/** Samples until the signal aborts; looks never overlap. */
export async function runSandboxSampling(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  // One listener for each that is asked.
  setMaxListeners(0, signal)
  const sample = createSampler(ctx)
  const trim = createTrimmer(ctx)
  for (let look = 0; !signal.aborted; look++) {
    const begun = performance.now()
    try {
      await sample(signal)
      if (look % looksPerTrim === 0) await trim(signal)
    } catch (error) {
      if (!signal.aborted) ctx.log.error({ err: error }, 'what sandboxes use could not be sampled')
    }
    await sleep(Math.max(100, lookMs - (performance.now() - begun)), signal).catch(() => {})
  }
}

/**
 * Samples the running sandboxes whose time has come, and writes what they answer in one transaction. One that doesn't
 * answer in time is left out until its next time.
 */
export function createSampler({
  store,
  node,
  clock,
}: ControlContext): (signal: AbortSignal) => Promise<void> {
  /** When each running sandbox was asked last, Unix milliseconds */
  let askedAt = new Map<string, number>()

  return async (signal) => {
    const now = clock.now()
    const running = await store.sandboxes.list({ states: ['running'] })
    const due = running.filter(({ id }) => {
      const ago = now - (askedAt.get(id) ?? Number.NEGATIVE_INFINITY)
      // Looks are never exactly on time, and clocks are set back.
      return ago < 0 || ago >= intervalMs - lookMs / 2
    })
    const isDue = new Set(due)
    askedAt = new Map(running.map((row) => [row.id, isDue.has(row) ? now : (askedAt.get(row.id) ?? now)]))

    const samples: SandboxMetrics[] = []
    const ask = async (sandbox: Sandbox) => {
      const sample = await sampleSandbox({ node, clock }, sandbox, signal)
      if (sample !== undefined) samples.push(sample)
    }
    await forEachLimit(due, parallel, (sandbox) => ask(sandbox).catch(() => {}))
    await store.sandboxMetrics.add(samples)
  }
}

/**
 * Makes old samples fewer, and drops those of sandboxes that are gone. The first time it looks at all of them, and
 * then only at those that have come of age since.
 */
export function createTrimmer({
  store,
  clock,
}: Pick<ControlContext, 'store' | 'clock'>): (signal: AbortSignal) => Promise<void> {
  /** Up to where each step has been thinned out, Unix milliseconds */
  const done = steps.map(() => 0)
  return async (signal) => {
    const now = clock.now()
    await store.sandboxMetrics.trim(now - keptMs)
    for (const [i, { ageMs, stepMs }] of steps.entries()) {
      const end = now - ageMs
      for (let from = Math.max(done[i] ?? 0, now - keptMs); from < end && !signal.aborted; ) {
        const before = Math.min(end, from + windowMs)
        await store.sandboxMetrics.thin({ from, before, stepMs })
        done[i] = from = before
        await loopTurns(1)
      }
    }
  }
}
