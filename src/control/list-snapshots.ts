import type { SnapshotFilter } from '../domain/snapshot.ts'
import type { ControlContext } from './context.ts'
import { namespaceOf } from './namespace.ts'
import { findSnapshotById, type NamedSnapshot, named, snapshotFilter } from './snapshots.ts'

export interface ListSnapshotsRequest extends Pick<SnapshotFilter, 'sandboxId' | 'after'> {
  teamId: string
  /** Name or id, with or without namespace and tag */
  name?: string
  /** Page size */
  limit: number
}

/**
 * One page of a team's snapshots, newest first, and whether there are more behind it: one for each name, under its newest
 * tag or the one that is asked for.
 */
export async function listSnapshots(
  ctx: ControlContext,
  { teamId, name, limit, ...filter }: ListSnapshotsRequest,
): Promise<{ snapshots: NamedSnapshot[]; more: boolean }> {
  const wanted = {
    ...{ ...filter, teamId, limit: limit + 1 },
    ...({ state: 'ready', internal: false, newestOfName: true } as const),
  }
  const byName = name === undefined ? undefined : await snapshotFilter(ctx, teamId, name)
  if (name !== undefined && byName === undefined) return { snapshots: [], more: false }
  let found = await ctx.store.snapshots.list({ ...wanted, ...byName })
  if (byName !== undefined && found.length === 0 && filter.after === undefined) {
    const byId = await findSnapshotById(ctx, byName)
    const isOfSandbox = filter.sandboxId === undefined || byId?.sandboxId === filter.sandboxId
    if (byId !== undefined && isOfSandbox) found = [byId]
  }
  const namespace = await namespaceOf(ctx, teamId)
  return {
    snapshots: found.slice(0, limit).map((snapshot) => named(snapshot, namespace)),
    more: found.length > limit,
  }
}
