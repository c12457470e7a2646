import { ServerError } from '../domain/error.ts'
import type { Snapshot } from '../domain/snapshot.ts'
import type { ControlContext } from './context.ts'
import { resolveTemplate } from './resolve-template.ts'
import { findSnapshotById, snapshotFilter, snapshotNotFound } from './snapshots.ts'

/**
 * Deletes what an identifier means: a name with all that its tags stand for, whichever of them is said, as E2B does; or a
 * snapshot by its id. Records go first; an image that can't be removed now is removed by reconciliation. Errors:
 * `not_found`, `unimplemented` (a template), `invalid_argument` while sandboxes are made of it (e2b-wire 2.2).
 */
export async function deleteSnapshot(
  ctx: ControlContext,
  { teamId, identifier }: { teamId: string; identifier: string },
  signal: AbortSignal,
): Promise<void> {
  const snapshots = await meant(ctx, teamId, identifier)
  if (snapshots.length === 0) {
    const template = await resolveTemplate(ctx, teamId, identifier)
    if (template === undefined) throw snapshotNotFound(identifier)
    throw new ServerError(
      'unimplemented',
      "Templates can't be deleted by this server yet; see docs/compat.md.",
    )
  }
  for (const { image } of snapshots) {
    if ((await ctx.store.sandboxes.list({ image, limit: 1 })).length === 0) continue
    throw new ServerError(
      'invalid_argument',
      `Snapshot "${identifier}" can't be deleted: there are paused or running sandboxes that use it. Kill them first.`,
    )
  }
  for (const { id } of snapshots) await ctx.store.snapshots.remove(id)
  for (const { id, image } of snapshots) {
    try {
      await ctx.node.images.remove(image, signal)
    } catch (error) {
      ctx.log.warn({ snapshotId: id, err: error }, "a snapshot's image is left to reconciliation")
    }
  }
}

async function meant(ctx: ControlContext, teamId: string, identifier: string): Promise<Snapshot[]> {
  const filter = await snapshotFilter(ctx, teamId, identifier)
  if (filter === undefined) return []
  const { tag: _, ...ofAnyTag } = filter
  const named = await ctx.store.snapshots.list(ofAnyTag)
  if (named.length > 0) return named
  const byId = await findSnapshotById(ctx, filter)
  return byId === undefined ? [] : [byId]
}
