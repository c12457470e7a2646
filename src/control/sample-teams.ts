/**
 * Figures of teams over time, for their graphs: how many sandboxes ran, and how many started. Starts are read from the
 * log of events, so none is missed between two looks.
 */
import type { LifecycleEventType } from '../domain/lifecycle-event.ts'
import type { SandboxState } from '../domain/sandbox-state.ts'
import { sleep } from '../lib/deadline.ts'
import type { ControlContext } from './context.ts'

/** Time between two samples, in ms. */
const intervalMs = 10_000
/** How long samples are kept, in ms. */
const keptMs = 7 * 24 * 3600_000
/** Events read at a time. */
const batch = 1_000

const started: readonly LifecycleEventType[] = ['created', 'resumed']
const runningStates: readonly SandboxState[] = ['running', 'snapshotting']

type Context = Pick<ControlContext, 'store' | 'clock' | 'log'>

/** Samples until the signal aborts. */
export async function runTeamSampling(ctx: Context, signal: AbortSignal): Promise<void> {
  let sample: (() => Promise<void>) | undefined
  while (!signal.aborted) {
    try {
      sample ??= await createTeamSampler(ctx)
      await sample()
    } catch (error) {
      ctx.log.error({ err: error }, 'the figures of teams could not be sampled')
    }
    await sleep(intervalMs, signal).catch(() => {})
  }
}

/**
 * What samples once. A team has a sample while it does something, and one more that says that it no longer does:
 * servers where nothing happens write nothing.
 */
export async function createTeamSampler({ store, clock }: Context): Promise<() => Promise<void>> {
  const [newest] = await store.events.list({ order: 'desc', limit: 1 })
  let sequence = newest?.sequence ?? 0
  let last = clock.now()
  let active = new Set<string>()

  return async () => {
    const now = clock.now()
    const running = new Map<string, number>()
    for (const { teamId, sandboxes } of await store.sandboxes.usage({ states: runningStates }))
      running.set(teamId, sandboxes)
    const starts = await countStarts()
    const seconds = Math.max(0.001, (now - last) / 1000)
    const busy = new Set([...running.keys(), ...starts.keys()])
    await store.teamSamples.add(
      [...new Set([...busy, ...active])].map((teamId) => ({
        teamId,
        at: now,
        runningSandboxes: running.get(teamId) ?? 0,
        startsPerSecond: (starts.get(teamId) ?? 0) / seconds,
      })),
    )
    await store.teamSamples.removeBefore(now - keptMs)
    active = busy
    last = now
  }

  /** By team, since the last look. */
  async function countStarts(): Promise<Map<string, number>> {
    const counts = new Map<string, number>()
    for (;;) {
      const events = await store.events.list({ types: started, afterSequence: sequence, limit: batch })
      for (const { teamId } of events) counts.set(teamId, (counts.get(teamId) ?? 0) + 1)
      sequence = events.at(-1)?.sequence ?? sequence
      if (events.length < batch) return counts
    }
  }
}
