import { ServerError } from '../domain/error.ts'
import type { SandboxMetrics } from '../domain/sandbox-metrics.ts'
import { publicState } from '../domain/sandbox-state.ts'
import type { ControlContext } from './context.ts'
import { findSandbox, type SandboxRef } from './find-sandbox.ts'
import { sampleSandbox } from './sample-sandbox.ts'

/** Most samples of one answer: a week of the coarsest steps, or an hour and more of the finest. */
const samplesMax = 5_000
/** The time after its start within which a sandbox may be without a sample, in ms: later the sampler knows better. */
const youngMs = 15_000

/**
 * What a sandbox used between two times, Unix milliseconds. One that runs and has just started, so that nothing is known
 * yet, is asked now. Errors: `not_found`, `invalid_argument`.
 */
export async function sandboxMetrics(
  ctx: ControlContext,
  ref: SandboxRef,
  { from = 0, to = Number.MAX_SAFE_INTEGER }: { from?: number | undefined; to?: number | undefined },
): Promise<SandboxMetrics[]> {
  if (from > to) throw new ServerError('invalid_argument', "'start' must not be later than 'end'.")
  const sandbox = await findSandbox(ctx, ref)
  const samples = await ctx.store.sandboxMetrics.list({ sandboxId: sandbox.id, from, to, limit: samplesMax })
  const now = ctx.clock.now()
  const isYoung = sandbox.state === 'running' && now - sandbox.startedAt < youngMs
  if (samples.length > 0 || !isYoung || from > now || to < now) return samples
  // One that doesn't answer has none, as for the sampler, which writes: this answers only.
  const fresh = await sampleSandbox(ctx, sandbox).catch(() => undefined)
  return fresh === undefined ? [] : [fresh]
}

/** The newest sample of each of a team's sandboxes; ids that aren't its own are left out. */
export async function latestMetrics(
  ctx: ControlContext,
  { teamId, ids }: { teamId: string; ids: readonly string[] },
): Promise<SandboxMetrics[]> {
  const rows = await Promise.all(ids.map((id) => ctx.store.sandboxes.find(id)))
  const own = rows.flatMap((row) =>
    row?.teamId === teamId && publicState(row.state) !== undefined ? [row.id] : [],
  )
  return ctx.store.sandboxMetrics.latest(own)
}
