import { ServerError } from '../domain/error.ts'
import type { SandboxMetrics } from '../domain/sandbox-metrics.ts'
import type { ControlContext } from './context.ts'
import { findSandbox, type SandboxRef } from './find-sandbox.ts'

/** Most samples of one answer: a week of the coarsest steps, or an hour and more of the finest. */
const samplesMax = 5_000

/** What a sandbox used between two times, Unix milliseconds. Errors: `not_found`, `invalid_argument`. */
export async function sandboxMetrics(
  ctx: ControlContext,
  ref: SandboxRef,
  { from = 0, to = Number.MAX_SAFE_INTEGER }: { from?: number | undefined; to?: number | undefined },
): Promise<SandboxMetrics[]> {
  if (from > to) throw new ServerError('invalid_argument', "'start' must not be later than 'end'.")
  const { id } = await findSandbox(ctx, ref)
  return ctx.store.sandboxMetrics.list({ sandboxId: id, from, to, limit: samplesMax })
}

/** The newest sample of each of a team's sandboxes; ids that aren't its own are left out. */
export async function latestMetrics(
  ctx: ControlContext,
  { teamId, ids }: { teamId: string; ids: readonly string[] },
): Promise<SandboxMetrics[]> {
  const rows = await Promise.all(ids.map((id) => ctx.store.sandboxes.find(id)))
  const own = rows.flatMap((row) => (row?.teamId === teamId ? [row.id] : []))
  return ctx.store.sandboxMetrics.latest(own)
}
