/** Snapshots by the identifiers that clients have: the id, or the name in its namespace, each with a tag. */
import { ServerError } from '../domain/error.ts'
import type { Snapshot } from '../domain/snapshot.ts'
import { defaultTag, readTemplateName } from '../domain/template-name.ts'
import type { ControlContext } from './context.ts'
import { namespaceOf } from './namespace.ts'

export interface NamedSnapshot {
  snapshot: Snapshot
  /** What clients call it: `<namespace>/<name>:<tag>`, or `<id>:default` where it has no name */
  snapshotId: string
  /** Its full names, without the tag */
  names: string[]
}

/** A snapshot with what clients call it. */
export function named(snapshot: Snapshot, namespace: string): NamedSnapshot {
  if (snapshot.name === null) return { snapshot, snapshotId: `${snapshot.id}:${defaultTag}`, names: [] }
  const name = `${namespace}/${snapshot.name}`
  return { snapshot, snapshotId: `${name}:${snapshot.tag}`, names: [name] }
}

/** The team's complete snapshot that an identifier means, if there is one. */
export async function resolveSnapshot(
  ctx: ControlContext,
  teamId: string,
  identifier: string,
): Promise<Snapshot | undefined> {
  const filter = await snapshotFilter(ctx, teamId, identifier)
  if (filter === undefined) return undefined
  const [newest] = await ctx.store.snapshots.list({ ...filter, tag: filter.tag ?? defaultTag, limit: 1 })
  if (newest !== undefined) return newest
  return findSnapshotById(ctx, filter)
}

/** The team's complete snapshot whose id stands where a name does, if there is one. */
export async function findSnapshotById(
  ctx: ControlContext,
  { teamId, name: id, tag }: { teamId: string; name: string; tag?: string },
): Promise<Snapshot | undefined> {
  const found = await ctx.store.snapshots.find(id)
  const isMeant =
    found !== undefined &&
    found.teamId === teamId &&
    found.state === 'ready' &&
    !found.internal &&
    (tag === undefined || tag === found.tag)
  return isMeant ? found : undefined
}

/** What to look for among a team's snapshots; undefined where an identifier can't be one of them. */
export async function snapshotFilter(ctx: ControlContext, teamId: string, identifier: string) {
  const parsed = readTemplateName(identifier)
  if (parsed === undefined) return undefined
  const { namespace, name, tag } = parsed
  if (namespace !== null && namespace !== (await namespaceOf(ctx, teamId))) return undefined
  return { teamId, name, ...(tag !== null && { tag }), state: 'ready', internal: false } as const
}

/**
 * Removes a copy that isn't to be: its row last, which is all that tells of its image. One that was recorded as complete
 * is taken back first, as sandboxes may be made of it.
 */
export async function dropIncomplete(
  { store, node }: ControlContext,
  { id, image }: Snapshot,
  signal: AbortSignal,
): Promise<void> {
  if ((await store.snapshots.find(id))?.state === 'ready') await store.snapshots.remove(id)
  await node.images.remove(image, signal)
  await store.snapshots.remove(id)
}

/** The error for a snapshot that isn't there, or isn't the asker's. */
export function snapshotNotFound(identifier: string): ServerError {
  return new ServerError(
    'not_found',
    `Template or snapshot "${identifier}" doesn't exist or you don't have access to it`,
  )
}
