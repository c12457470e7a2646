/** Templates and their builds by the identifiers that clients have. */
import { ServerError } from '../domain/error.ts'
import type { TaggedBuild, Template } from '../domain/template.ts'
import {
  type BuildReference,
  defaultTag,
  parseTemplateName,
  readBuildReference,
  type TemplateName,
} from '../domain/template-name.ts'
import type { ControlContext } from './context.ts'
import { namespaceOf } from './namespace.ts'

/** The namespace of E2B's own templates, whose names do without it: the server's here. */
const publicNamespace = 'e2b'
/** Names in the error for one that isn't there. */
const namesMax = 20

/** The template that a name or id means, if the team may see it. */
export async function findTemplate(
  ctx: ControlContext,
  teamId: string,
  { namespace, name }: Pick<TemplateName, 'namespace' | 'name'>,
): Promise<Template | undefined> {
  const { templates, teams } = ctx.store
  if (namespace === null) return templates.resolve(name, teamId)
  if (namespace === (await namespaceOf(ctx, teamId))) {
    const own = (await templates.findByAlias(teamId, name)) ?? (await templates.find(name))
    return own?.teamId === teamId && own.kind !== 'fork' ? own : undefined
  }
  if (namespace === publicNamespace) return templates.findByAlias(null, name)
  const team = await teams.findBySlug(namespace)
  const theirs = team && (await templates.findByAlias(team.id, name))
  return theirs?.isPublic ? theirs : undefined
}

/** The same of the team's own alone, from the text of a request. */
export async function findOwnTemplate(
  ctx: ControlContext,
  teamId: string,
  identifier: string,
): Promise<Template | undefined> {
  const reference = readBuildReference(identifier)
  const template = reference && (await findTemplate(ctx, teamId, reference))
  return template?.teamId === teamId ? template : undefined
}

/**
 * The build that sandboxes asked for by `identifier` start from: the one that its tag, `default` where it has none, stands
 * for, or the one whose id it says. Errors: `not_found`, which names the templates that are there; those of
 * `StockTemplates.demand`.
 */
export async function resolveBuild(
  ctx: ControlContext,
  teamId: string,
  identifier: string,
): Promise<TaggedBuild> {
  const reference = readBuildReference(identifier)
  const template = reference && (await findTemplate(ctx, teamId, reference))
  if (reference === undefined || template === undefined) throw await templateNotFound(ctx, teamId, identifier)
  return await resolveBuildOf(ctx, template, identifier, reference)
}

/** The same of a template that is found already; the one of its tag `default` unless `reference` says otherwise. */
export async function resolveBuildOf(
  ctx: ControlContext,
  template: Template,
  identifier: string,
  { tag, buildId }: Pick<BuildReference, 'tag' | 'buildId'> = { tag: null, buildId: null },
): Promise<TaggedBuild> {
  const build = await findBuild(ctx, template, { tag, buildId })
  if (template.teamId === null && buildId === null && (tag ?? defaultTag) === defaultTag) {
    await ctx.stock.demand(template.id, build)
  }
  if (build?.status === 'ready') return { template, build }
  const what = buildId === null ? `the tag '${tag ?? defaultTag}'` : 'that id'
  // Clients look for "does not exist" in this while a first build runs.
  throw new ServerError(
    'not_found',
    `Template "${identifier}" does not exist yet: it has no ready build with ${what}.`,
  )
}

/** The build of a template that a reference to it means, in whatever status it is. */
export async function findBuild(
  { store }: ControlContext,
  { id }: Template,
  { tag, buildId }: Pick<BuildReference, 'tag' | 'buildId'>,
) {
  const meant = buildId ?? (await store.tags.find(id, tag ?? defaultTag))?.buildId
  const build = meant === undefined ? undefined : await store.builds.find(meant)
  return build?.templateId === id ? build : undefined
}

export interface TemplateAlias {
  templateId: string
  isPublic: boolean
}

/**
 * What a name means, whatever tag it has. Errors: `invalid_argument` (no name, or another team's namespace), `not_found`
 * (it is free), `forbidden` (the id of what another team has).
 */
export async function findAlias(ctx: ControlContext, teamId: string, alias: string): Promise<TemplateAlias> {
  const { namespace, name } = parseTemplateName(alias)
  const template = await findTemplate(ctx, teamId, { namespace, name })
  if (template !== undefined) return { templateId: template.id, isPublic: template.isPublic }
  const own = await namespaceOf(ctx, teamId)
  if (namespace !== null && namespace !== own && namespace !== publicNamespace) {
    throw new ServerError('invalid_argument', `The namespace of your templates is '${own}'.`)
  }
  const others = namespace === null ? await ctx.store.templates.find(name) : undefined
  if (others !== undefined && others.kind !== 'fork') {
    throw new ServerError('forbidden', "You don't have access to this template alias")
  }
  throw await templateNotFound(ctx, teamId, alias)
}

/** The error for a template that isn't there, or isn't the asker's: it names those that are. */
export async function templateNotFound(
  { store }: ControlContext,
  teamId: string,
  identifier: string,
): Promise<ServerError> {
  const templates = await store.templates.list({ visibleTo: teamId, kind: 'template', limit: namesMax })
  const names = templates.map(({ id, aliases }) => `"${aliases[0] ?? id}"`)
  return new ServerError(
    'not_found',
    `Template "${identifier}" doesn't exist or you don't have access to it. Templates of this server: ${names.join(', ')}.`,
  )
}
