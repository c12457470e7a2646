/** Snapshots: builds that are copies of sandboxes. */
import { ServerError } from '../domain/error.ts'
import type { TaggedSnapshot, TemplateBuild } from '../domain/template-build.ts'
import type { ControlContext } from './context.ts'

export interface NamedSnapshot extends TaggedSnapshot {
  /** What clients call it: `<namespace>/<name>:<tag>`, or `<id>:<tag>` where it has no name */
  snapshotId: string
  /** Its full names, without the tag */
  names: string[]
}

/** A snapshot with what clients call it. */
export function named(snapshot: TaggedSnapshot, namespace: string): NamedSnapshot {
  const { template, tag } = snapshot
  const names = template.aliases.map((alias) => `${namespace}/${alias}`)
  return { ...snapshot, snapshotId: `${names[0] ?? template.id}:${tag}`, names }
}

/**
 * Removes a copy that isn't to be: its row last, which is all that tells of its image. One that was recorded as complete
 * is taken back first, as sandboxes may be made of it.
 */
export async function dropIncomplete(
  { store, node }: ControlContext,
  { id, image }: TemplateBuild,
  signal: AbortSignal,
): Promise<void> {
  if ((await store.builds.find(id))?.status === 'ready') await store.builds.remove(id)
  if (image !== null) await node.images.remove(image, signal)
  await store.builds.remove(id)
}

/** The error for a snapshot that isn't there, or isn't the asker's. */
export function snapshotNotFound(identifier: string): ServerError {
  return new ServerError(
    'not_found',
    `Template or snapshot "${identifier}" doesn't exist or you don't have access to it`,
  )
}
