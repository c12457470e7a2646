import type { SnapshotFilter } from '../domain/template-build.ts'
import { readTemplateName } from '../domain/template-name.ts'
import type { ControlContext } from './context.ts'
import { namespaceOf } from './namespace.ts'
import { findOwnTemplate } from './resolve-template.ts'
import { type NamedSnapshot, named } from './snapshots.ts'

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
  { name, limit, ...filter }: ListSnapshotsRequest,
): Promise<{ snapshots: NamedSnapshot[]; more: boolean }> {
  const byName = name === undefined ? {} : await nameFilter(ctx, filter.teamId, name)
  if (byName === undefined) return { snapshots: [], more: false }
  const found = await ctx.store.builds.snapshots({ ...filter, ...byName, limit: limit + 1 })
  const namespace = await namespaceOf(ctx, filter.teamId)
  return {
    snapshots: found.slice(0, limit).map((snapshot) => named(snapshot, namespace)),
    more: found.length > limit,
  }
}

/** Undefined where there is nothing of that name. */
async function nameFilter(
  ctx: ControlContext,
  teamId: string,
  name: string,
): Promise<Pick<SnapshotFilter, 'templateId' | 'tag'> | undefined> {
  const template = await findOwnTemplate(ctx, teamId, name)
  const tag = readTemplateName(name)?.tag ?? null
  return template && { templateId: template.id, ...(tag !== null && { tag }) }
}
