import { randomUUID } from 'node:crypto'
import type { BuildOrder } from '../../domain/build-order.ts'
import { ServerError } from '../../domain/error.ts'
import type { Template } from '../../domain/template.ts'
import { type BuildPlan, noDefaults, type TemplateBuild } from '../../domain/template-build.ts'
import { defaultTag, parseTag, parseTemplateName } from '../../domain/template-name.ts'
import { newId } from '../../lib/ids.ts'
import type { ControlContext } from '../context.ts'
import { namespaceOf } from '../namespace.ts'
import { type AskedSize, checkSize } from './check-size.ts'
import { clearTheWay } from './clear-the-way.ts'
import { namesOf, requireOwnTemplate } from './find.ts'

export interface CreateBuildRequest extends AskedSize {
  teamId: string
  /** What the template is called, with or without namespace and tag; or its id. Null: nothing, or what it was */
  name: string | null
  /** Id or name of the one to build again, which is called `name` from now on; absent: the one of that name, or a new one */
  template?: string
  /** Besides the one of the name */
  tags?: readonly string[]
  minFreeDiskMb?: number | undefined
  /** What it is made of, where that is known already */
  order?: BuildOrder
}

export interface CreatedBuild {
  template: Template
  build: TemplateBuild
  /** With namespace */
  names: string[]
  tags: string[]
}

/** Most templates of one team. */
const templatesMax = 10_000

/**
 * Makes a build that waits for its files and its start, of a template that is made with it where there is none of that
 * name. Builds with one of its tags that wait are ended, as nobody will be known by it but the newest. Errors:
 * `invalid_argument` (name, tags, size), `not_found` (the template to build again), `conflict` (one with such a tag runs, or
 * another template has the name), `resource_exhausted`.
 */
export async function createBuild(ctx: ControlContext, request: CreateBuildRequest): Promise<CreatedBuild> {
  const { teamId, minFreeDiskMb = null, order } = request
  const { alias, tag } = await parseName(ctx, request)
  const given = [...(tag === null ? [] : [tag]), ...(request.tags ?? [])].map(parseTag)
  const tags = given.length === 0 ? [defaultTag] : [...new Set(given)]
  const size = await checkSize(ctx, teamId, request)
  const plan: BuildPlan = { tags, minFreeDiskMb, ...(order !== undefined && { order }) }
  const { template, build } = await record(ctx, request, { alias, size, plan })
  ctx.log.info({ templateId: template.id, buildId: build.id }, 'a build was asked for')
  return { template, build, names: await namesOf(ctx, template), tags }
}

/** The name alone. Errors: `invalid_argument` (no name, or another team's namespace). */
async function parseName(
  ctx: ControlContext,
  { teamId, name }: CreateBuildRequest,
): Promise<{ alias: string | null; tag: string | null }> {
  if (name === null) return { alias: null, tag: null }
  const parsed = parseTemplateName(name)
  const own = await namespaceOf(ctx, teamId)
  if (parsed.namespace !== null && parsed.namespace !== own) {
    throw new ServerError('invalid_argument', `The namespace of your templates is '${own}'.`)
  }
  return { alias: parsed.name, tag: parsed.tag }
}

interface Wanted {
  alias: string | null
  size: Pick<TemplateBuild, 'cpuCount' | 'memoryMb' | 'diskMb'>
  plan: BuildPlan
}

/** In the team's turn: what is looked at here may not change until it is recorded. */
function record(
  ctx: ControlContext,
  { teamId, template: again }: CreateBuildRequest,
  { alias, size, plan }: Wanted,
): Promise<{ template: Template; build: TemplateBuild }> {
  return ctx.templateTurns.run(teamId, async () => {
    const existing =
      again === undefined ? await findNamed(ctx, teamId, alias) : await requireOwnTemplate(ctx, teamId, again)
    const { superseded } = await clearTheWay(ctx, teamId, existing, plan.tags)
    if (existing === undefined) await checkTemplateCount(ctx, teamId)
    const template =
      existing === undefined ? newTemplate(ctx, teamId, alias) : await rename(ctx, existing, again && alias)
    const build = newBuild(ctx, template, size)
    const reason = `Build '${build.id}' took its place before it was started.`
    for (const { id } of superseded) await ctx.builder.cancel(id, reason)
    await ctx.store.builds.create(build, { plan, ...(existing === undefined && { template }) })
    if (template.kind !== 'snapshot') return { template, build }
    // What is built is a template, also where it has been a snapshot's name until now.
    await ctx.store.templates.update(template.id, { kind: 'template' })
    return { template: { ...template, kind: 'template' }, build }
  })
}

/** Gives a template another name, if any. Errors: `conflict`. */
async function rename(
  ctx: ControlContext,
  template: Template,
  alias: string | null | undefined,
): Promise<Template> {
  if (alias == null || template.aliases.includes(alias)) return template
  const aliases = [alias]
  await ctx.store.templates.update(template.id, { aliases, updatedAt: ctx.clock.now() })
  return { ...template, aliases }
}

/** What of the team's own has that name, or that id. */
async function findNamed(
  ctx: ControlContext,
  teamId: string,
  alias: string | null,
): Promise<Template | undefined> {
  if (alias === null) return undefined
  const { templates } = ctx.store
  const named = (await templates.findByAlias(teamId, alias)) ?? (await templates.find(alias))
  return named?.teamId === teamId && named.kind !== 'fork' ? named : undefined
}

/** Errors: `resource_exhausted`. */
async function checkTemplateCount({ store }: ControlContext, teamId: string): Promise<void> {
  if ((await store.templates.count({ teamId })) < templatesMax) return
  throw new ServerError('resource_exhausted', `A team has at most ${templatesMax} templates. Delete some.`)
}

function newTemplate(ctx: ControlContext, teamId: string, alias: string | null): Template {
  const now = ctx.clock.now()
  return {
    id: newId(),
    teamId,
    aliases: alias === null ? [] : [alias],
    isPublic: false,
    kind: 'template',
    createdAt: now,
    updatedAt: now,
    lastSpawnedAt: null,
    spawnCount: 0,
  }
}

function newBuild(ctx: ControlContext, { id, teamId }: Template, size: Wanted['size']): TemplateBuild {
  return {
    ...size,
    id: randomUUID(),
    templateId: id,
    teamId,
    status: 'waiting',
    image: null,
    runtime: ctx.node.runtime,
    defaults: noDefaults,
    origin: null,
    reason: null,
    createdAt: ctx.clock.now(),
    startedAt: null,
    finishedAt: null,
  }
}
