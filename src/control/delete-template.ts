import { ServerError } from '../domain/error.ts'
import { sandboxStates } from '../domain/sandbox-state.ts'
import type { TemplateBuild } from '../domain/template-build.ts'
import { carryOutEnds } from './carry-out-ends.ts'
import type { ControlContext } from './context.ts'
import { findOwnTemplate } from './resolve-template.ts'
import { snapshotNotFound } from './snapshots.ts'

const unendedStates = sandboxStates.filter((state) => state !== 'killing')

/**
 * Deletes what an identifier means: a template, or the snapshots of a name, with all its builds, whichever of its tags is
 * said, as E2B does. Records go first; an image that can't be removed now is removed by reconciliation. Errors:
 * `not_found`, `invalid_argument` while sandboxes are made of it (e2b-wire 2.2).
 */
export async function deleteTemplate(
  ctx: ControlContext,
  { teamId, identifier }: { teamId: string; identifier: string },
  signal: AbortSignal,
): Promise<void> {
  const template = await findOwnTemplate(ctx, teamId, identifier)
  if (template === undefined) throw snapshotNotFound(identifier)
  const { id, kind } = template
  if ((await ctx.store.sandboxes.list({ templateId: id, states: unendedStates, limit: 1 })).length > 0) {
    const what = kind === 'snapshot' ? 'Snapshot' : 'Template'
    throw new ServerError(
      'invalid_argument',
      `${what} "${identifier}" can't be deleted: there are paused or running sandboxes that use it. Kill them first.`,
    )
  }
  const builds = await ctx.templateTurns.run(teamId, () => removeRecords(ctx, id))
  await ctx.node.retire(id)
  await carryOutEnds(ctx, id, signal)
  for (const { image } of builds) {
    if (image === null) continue
    try {
      await releaseImage(ctx, image, signal)
    } catch (error) {
      ctx.log.warn({ templateId: id, image, err: error }, "a build's image is left to reconciliation")
    }
  }
}

/** Ends what is being built of it first. Returns the builds that it had. */
async function removeRecords({ store, builder }: ControlContext, id: string): Promise<TemplateBuild[]> {
  const builds = await store.builds.list({ templateId: id })
  const unfinished = builds.filter(
    ({ status, origin }) => status !== 'ready' && status !== 'error' && !origin,
  )
  await Promise.all(unfinished.map((build) => builder.cancel(build.id, 'Its template was deleted.')))
  await store.templates.remove(id)
  return builds
}

/** Removes an image that no record and no build refers to any more. Errors: those of `Images.remove`. */
async function releaseImage(
  { store, node, builder }: ControlContext,
  image: string,
  signal: AbortSignal,
): Promise<void> {
  if (builder.owns(image)) return
  const users = await Promise.all([
    store.builds.list({ image, limit: 1 }),
    store.layers.list({ image, limit: 1 }),
    store.sandboxes.list({ image, limit: 1 }),
  ])
  if (users.every((rows) => rows.length === 0)) await node.images.remove(image, signal)
}
