/** What running sandboxes use, asked of their agents every few seconds and kept in ever coarser steps. */
import type { Sandbox } from '../domain/sandbox.ts'
import type { SandboxMetrics } from '../domain/sandbox-metrics.ts'
import { anySignal, sleep } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { loopTurns } from '../lib/loop-turns.ts'
import type { ControlContext } from './context.ts'

/** Time between two rounds, in ms (e2b-behaviour 2.7). */
const intervalMs = 5_000
/** How long one agent may take to answer, in ms. */
const answerTimeoutMs = 2_000
/** Agents asked side by side. */
const parallel = 8
/** Rounds between two looks at what may be thinned out: once a minute. */
const roundsPerTrim = 12
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

/** Samples until the signal aborts; rounds never overlap. */
export async function runSandboxSampling(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  const trim = createTrimmer(ctx)
  for (let round = 0; !signal.aborted; round++) {
    const begun = performance.now()
    try {
      await sampleSandboxes(ctx, signal)
      if (round % roundsPerTrim === 0) await trim(signal)
    } catch (error) {
      if (!signal.aborted) ctx.log.error({ err: error }, 'what sandboxes use could not be sampled')
    }
    await sleep(Math.max(100, intervalMs - (performance.now() - begun)), signal).catch(() => {})
  }
}

/** One round. A sandbox that doesn't answer in time has no sample in it. */
export async function sampleSandboxes(
  { store, node, clock }: ControlContext,
  signal: AbortSignal,
): Promise<void> {
  const running = await store.sandboxes.list({ states: ['running'] })
  const samples: SandboxMetrics[] = []
  const ask = async (sandbox: Sandbox) => {
    if (sandbox.handle === null) return
    const both = anySignal(signal, AbortSignal.timeout(answerTimeoutMs))
    const { timestampMs: _, ...used } = await node.sample(sandbox.handle, both)
    samples.push({ ...used, sandboxId: sandbox.id, at: Math.floor(clock.now()) })
  }
  await forEachLimit(running, parallel, (sandbox) => ask(sandbox).catch(() => {}))
  await store.sandboxMetrics.add(samples)
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
