import { ServerError } from '../domain/error.ts'
import type { ControlContext } from './context.ts'
import { resolveTemplate } from './resolve-template.ts'
import { resolveSnapshot, snapshotNotFound } from './snapshots.ts'

/**
 * Deletes a snapshot by its id or name. Its record goes first; an image that can't be removed now is removed by
 * reconciliation. Errors: `not_found`, `unimplemented` (a template), `invalid_argument` while sandboxes are made of it (e2b-wire 2.2).
 */
export async function deleteSnapshot(
  ctx: ControlContext,
  { teamId, identifier }: { teamId: string; identifier: string },
  signal: AbortSignal,
): Promise<void> {
  const snapshot = await resolveSnapshot(ctx, teamId, identifier)
  if (snapshot === undefined) {
    const template = await resolveTemplate(ctx, teamId, identifier)
    if (template === undefined) throw snapshotNotFound(identifier)
    throw new ServerError(
      'unimplemented',
      "Templates can't be deleted by this server yet; see docs/compat.md.",
    )
  }
  const users = await ctx.store.sandboxes.list({ image: snapshot.image, limit: 1 })
  if (users.length > 0) {
    throw new ServerError(
      'invalid_argument',
      `Snapshot "${identifier}" can't be deleted: there are paused or running sandboxes that use it. Kill them first.`,
    )
  }
  await ctx.store.snapshots.remove(snapshot.id)
  try {
    await ctx.node.images.remove(snapshot.image, signal)
  } catch (error) {
    ctx.log.warn({ snapshotId: snapshot.id, err: error }, "a snapshot's image is left to reconciliation")
  }
}
