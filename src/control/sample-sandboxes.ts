/** What running sandboxes use, asked of their agents every few seconds and kept in ever coarser steps. */
import type { Sandbox } from '../domain/sandbox.ts'
import type { SandboxMetrics } from '../domain/sandbox-metrics.ts'
import { sleep } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { linkSignals } from '../lib/linked-signal.ts'
import type { ControlContext } from './context.ts'

/** Time between two rounds, in ms (e2b-behaviour 2.7). */
const intervalMs = 5_000
/** How long one agent may take to answer, in ms. */
const answerTimeoutMs = 2_000
/** Agents asked side by side. */
const parallel = 8
/** Rounds between two looks at what may be thinned out: once a minute. */
const roundsPerTrim = 12
/** How far back such a look goes from where a step begins, in ms: much more than the time between two. */
const lookBackMs = 900_000
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

/** Samples until the signal aborts; rounds never overlap. */
export async function runSandboxSampling(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  for (let round = 0; !signal.aborted; round++) {
    const begun = performance.now()
    try {
      await sampleSandboxes(ctx, signal)
      // The first look takes up what came of age while no server ran.
      if (round % roundsPerTrim === 0)
        await trimSamples(ctx, round === 0 ? Number.POSITIVE_INFINITY : lookBackMs)
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
    const both = linkSignals([signal], answerTimeoutMs)
    try {
      const { timestampMs: _, ...used } = await node.sample(sandbox.handle, both.signal)
      samples.push({ ...used, sandboxId: sandbox.id, at: Math.floor(clock.now()) })
    } finally {
      both.dispose()
    }
  }
  await forEachLimit(running, parallel, (sandbox) => ask(sandbox).catch(() => {}))
  await store.sandboxMetrics.add(samples)
}

/**
 * Makes old samples fewer, and drops those of sandboxes that are gone. Only those are looked at that came of age
 * within `backMs`: a look at all would hold up the server for seconds.
 */
export async function trimSamples(
  { store, clock }: Pick<ControlContext, 'store' | 'clock'>,
  backMs = Number.POSITIVE_INFINITY,
): Promise<void> {
  const now = clock.now()
  await store.sandboxMetrics.trim(now - keptMs)
  for (const { ageMs, stepMs } of steps) {
    const before = now - ageMs
    await store.sandboxMetrics.thin({ from: Math.max(0, before - backMs), before, stepMs })
  }
}
