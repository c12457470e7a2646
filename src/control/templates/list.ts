import type { Template, TemplateFilter } from '../../domain/template.ts'
import type { LatestBuilds } from '../../domain/template-build.ts'
import type { ControlContext } from '../context.ts'
import { namespaceOf } from '../namespace.ts'

/** A template as it is listed. */
export interface ListedTemplate extends LatestBuilds {
  template: Template
  /** `<namespace>/<name>` */
  names: string[]
}

export interface ListTemplatesRequest {
  teamId: string
  after?: TemplateFilter['after']
  /** Page size */
  limit: number
}

/** One page of a team's own templates, newest first, and where the next one begins. */
export async function listTemplates(
  ctx: ControlContext,
  { teamId, after, limit }: ListTemplatesRequest,
): Promise<{ templates: ListedTemplate[]; next: TemplateFilter['after'] }> {
  const filter = {
    teamId,
    kind: 'template',
    limit: limit + 1,
    ...(after !== undefined && { after }),
  } as const
  const found = await ctx.store.templates.list(filter)
  const page = found.slice(0, limit)
  const templates = await describeTemplates(ctx, teamId, page)
  return { templates, next: found.length > limit ? page.at(-1) : undefined }
}

/** Those of a team's templates that have a build, with what lists say of their builds. */
export async function describeTemplates(
  ctx: ControlContext,
  teamId: string,
  templates: readonly Template[],
): Promise<ListedTemplate[]> {
  const namespace = await namespaceOf(ctx, teamId)
  const latest = await ctx.store.builds.latest(templates.map(({ id }) => id))
  return templates.flatMap((template) => {
    const builds = latest.get(template.id)
    const names = template.aliases.map((alias) => `${namespace}/${alias}`)
    return builds === undefined ? [] : [{ ...builds, template, names }]
  })
}
