import { randomUUID } from 'node:crypto'
import { ServerError } from '../../domain/error.ts'
import type { Template } from '../../domain/template.ts'
import { type BuildPlan, noDefaults, type TemplateBuild } from '../../domain/template-build.ts'
import { defaultTag, parseTag, parseTemplateName } from '../../domain/template-name.ts'
import { newId } from '../../lib/ids.ts'
import type { ControlContext } from '../context.ts'
import { namespaceOf } from '../namespace.ts'
import { type AskedSize, checkSize } from './check-size.ts'
import { clearTheWay } from './clear-the-way.ts'
import { namesOf } from './find.ts'

export interface CreateBuildRequest extends AskedSize {
  teamId: string
  /** What the template is called, with or without namespace and tag; or its id */
  name: string
  /** Besides the one of the name */
  tags?: readonly string[]
  minFreeDiskMb?: number | undefined
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
 * `invalid_argument` (name, tags, size), `conflict` (one with such a tag runs), `resource_exhausted`.
 */
export async function createBuild(ctx: ControlContext, request: CreateBuildRequest): Promise<CreatedBuild> {
  const { teamId, minFreeDiskMb = null } = request
  const { alias, tag } = await parseName(ctx, request)
  const given = [...(tag === null ? [] : [tag]), ...(request.tags ?? [])].map(parseTag)
  const tags = given.length === 0 ? [defaultTag] : [...new Set(given)]
  const size = await checkSize(ctx, teamId, request)
  const plan: BuildPlan = { tags, minFreeDiskMb }
  const { template, build } = await record(ctx, request, { alias, size, plan })
  ctx.log.info({ templateId: template.id, buildId: build.id }, 'a build was asked for')
  return { template, build, names: await namesOf(ctx, template), tags }
}

/** The name alone. Errors: `invalid_argument` (no name, or another team's namespace). */
async function parseName(
  ctx: ControlContext,
  { teamId, name }: CreateBuildRequest,
): Promise<{ alias: string; tag: string | null }> {
  const parsed = parseTemplateName(name)
  const own = await namespaceOf(ctx, teamId)
  if (parsed.namespace !== null && parsed.namespace !== own) {
    throw new ServerError('invalid_argument', `The namespace of your templates is '${own}'.`)
  }
  return { alias: parsed.name, tag: parsed.tag }
}

interface Wanted {
  alias: string
  size: Pick<TemplateBuild, 'cpuCount' | 'memoryMb' | 'diskMb'>
  plan: BuildPlan
}

/** In the team's turn: what is looked at here may not change until it is recorded. */
function record(
  ctx: ControlContext,
  { teamId }: CreateBuildRequest,
  { alias, size, plan }: Wanted,
): Promise<{ template: Template; build: TemplateBuild }> {
  return ctx.templateTurns.run(teamId, async () => {
    const existing = await findNamed(ctx, teamId, alias)
    const { superseded } = await clearTheWay(ctx, teamId, existing, plan.tags)
    if (existing === undefined) await checkTemplateCount(ctx, teamId)
    const template = existing ?? newTemplate(ctx, teamId, alias)
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

/** What of the team's own has that name, or that id. */
async function findNamed(ctx: ControlContext, teamId: string, alias: string): Promise<Template | undefined> {
  const { templates } = ctx.store
  const named = (await templates.findByAlias(teamId, alias)) ?? (await templates.find(alias))
  return named?.teamId === teamId && named.kind !== 'fork' ? named : undefined
}

/** Errors: `resource_exhausted`. */
async function checkTemplateCount({ store }: ControlContext, teamId: string): Promise<void> {
  if ((await store.templates.count({ teamId })) < templatesMax) return
  throw new ServerError('resource_exhausted', `A team has at most ${templatesMax} templates. Delete some.`)
}

function newTemplate(ctx: ControlContext, teamId: string, alias: string): Template {
  const now = ctx.clock.now()
  return {
    id: newId(),
    teamId,
    aliases: [alias],
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
