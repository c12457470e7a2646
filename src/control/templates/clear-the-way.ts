import { ServerError } from '../../domain/error.ts'
import type { Template } from '../../domain/template.ts'
import type { TemplateBuild } from '../../domain/template-build.ts'
import type { ControlContext } from '../context.ts'

/** Builds of one team that wait for their start. Each has a row and, for a while, links for its files. */
const waitingMax = 100
/** When what is in the way may be over, in seconds. */
const busyRetryAfterS = 10

/**
 * Whether a build with those tags may be made of a template, and which builds it is to take the place of: those with one of
 * its tags that haven't been started. Errors: `conflict` (one with such a tag runs),
 * `resource_exhausted` (too many wait).
 */
export async function clearTheWay(
  ctx: ControlContext,
  teamId: string,
  template: Template | undefined,
  tags: readonly string[],
): Promise<{ superseded: TemplateBuild[] }> {
  if (template !== undefined) await refuseSecond(ctx, template, tags)
  const waiting = await ctx.store.builds.list({ teamId, statuses: ['waiting'] })
  const superseded: TemplateBuild[] = []
  for (const build of waiting) {
    if (build.templateId === template?.id && (await hasOneOf(ctx, build, tags))) superseded.push(build)
  }
  if (waiting.length - superseded.length >= waitingMax) {
    throw new ServerError(
      'resource_exhausted',
      `You have reached the maximum number of concurrent template builds that wait for their start (${waitingMax}).`,
      { retryAfterS: busyRetryAfterS },
    )
  }
  return { superseded }
}

/** Errors: `conflict`, where a build runs that is to have one of the tags. */
export async function refuseSecond(
  ctx: ControlContext,
  { id, aliases }: Template,
  tags: readonly string[],
): Promise<void> {
  for (const build of await ctx.store.builds.list({ templateId: id, statuses: ['building'] })) {
    if (!(await hasOneOf(ctx, build, tags))) continue
    throw new ServerError(
      'conflict',
      `Template '${aliases[0] ?? id}' is already being built with one of the tags ${tags.join(', ')} ` +
        `(build '${build.id}'): wait for it, or name another tag.`,
    )
  }
}

async function hasOneOf(
  ctx: ControlContext,
  { id }: TemplateBuild,
  tags: readonly string[],
): Promise<boolean> {
  const plan = await ctx.store.builds.plan(id)
  return plan?.tags.some((tag) => tags.includes(tag)) ?? false
}
