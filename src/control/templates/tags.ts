/** Tags of a team's templates, snapshots among them. */
import { ServerError } from '../../domain/error.ts'
import type { Tag } from '../../domain/template.ts'
import { defaultTag, parseTag, readBuildReference, readTemplateName } from '../../domain/template-name.ts'
import type { ControlContext } from '../context.ts'
import { findBuild, findTemplate, templateNotFound } from '../resolve-template.ts'
import { requireOwnTemplate } from './find.ts'

/** Most tags that one template has. */
const tagsMax = 1_000

export interface AssignTagsRequest {
  teamId: string
  /** `name`, `name:tag` or `name:build_id` of the build that is meant */
  target: string
  tags: readonly string[]
}

/**
 * Gives tags to a build that is ready; whichever had them loses them. Errors: `invalid_argument`, `not_found`,
 * `resource_exhausted` (too many).
 */
export async function assignTags(
  ctx: ControlContext,
  { teamId, target, tags: given }: AssignTagsRequest,
): Promise<{ buildId: string; tags: string[] }> {
  const tags = parseTags(given)
  const reference = readBuildReference(target)
  if (reference === undefined) throw invalidTarget(target)
  const template = await requireOwnTemplate(ctx, teamId, target)
  const build = await findBuild(ctx, template, reference)
  if (build?.status !== 'ready') {
    const meant = reference.buildId ?? reference.tag ?? defaultTag
    throw new ServerError(
      'not_found',
      `Tag '${meant}' does not exist for template '${target}': no ready build has it.`,
    )
  }
  const known = (await ctx.store.tags.list(template.id)).map(({ tag }) => tag)
  if (new Set([...known, ...tags]).size > tagsMax) {
    throw new ServerError('resource_exhausted', `A template has at most ${tagsMax} tags. Remove some.`)
  }
  await ctx.store.tags.assign(template.id, tags, build.id, ctx.clock.now())
  return { buildId: build.id, tags }
}

export interface RemoveTagsRequest {
  teamId: string
  /** Without a tag */
  name: string
  tags: readonly string[]
}

/** Takes tags away; those that aren't there are no error. Errors: `invalid_argument`, `not_found` (template). */
export async function removeTags(
  ctx: ControlContext,
  { teamId, name, tags: given }: RemoveTagsRequest,
): Promise<void> {
  const tags = parseTags(given)
  if (readTemplateName(name)?.tag !== null) {
    throw new ServerError(
      'invalid_argument',
      `'${name.slice(0, 64)}' is not a template's name without a tag.`,
    )
  }
  if (tags.includes(defaultTag)) {
    throw new ServerError(
      'invalid_argument',
      `The tag '${defaultTag}' can't be removed: assign it to another build.`,
    )
  }
  const template = await requireOwnTemplate(ctx, teamId, name)
  await ctx.store.tags.remove(template.id, tags)
}

/**
 * The tags of a template that the team may use, newest first. One that no ready build has yet is there as soon as a build
 * that is to have it runs: clients wait for that build then. Errors: `not_found`.
 */
export async function listTags(ctx: ControlContext, teamId: string, identifier: string): Promise<Tag[]> {
  const name = readTemplateName(identifier)
  const template = name && (await findTemplate(ctx, teamId, name))
  if (template === undefined) throw await templateNotFound(ctx, teamId, identifier)
  const assigned = await ctx.store.tags.list(template.id)
  if (template.teamId !== teamId) return assigned
  const known = new Set(assigned.map(({ tag }) => tag))
  const pending: Tag[] = []
  for (const build of await ctx.store.builds.list({ templateId: template.id, statuses: ['building'] })) {
    const plan = await ctx.store.builds.plan(build.id)
    for (const tag of plan?.tags ?? []) {
      if (known.has(tag)) continue
      known.add(tag)
      pending.push({ templateId: template.id, tag, buildId: build.id, createdAt: build.createdAt })
    }
  }
  return [...pending, ...assigned].toSorted((a, b) => b.createdAt - a.createdAt)
}

/** In lower case and once each. Errors: `invalid_argument`. */
function parseTags(given: readonly string[]): string[] {
  return [...new Set(given.map(parseTag))]
}

function invalidTarget(target: string): ServerError {
  return new ServerError(
    'invalid_argument',
    `Invalid target '${target.slice(0, 64)}': use a template's name or id, with an optional ':tag'.`,
  )
}
