import type { Template } from '../../domain/template.ts'
import type { BuildFilter, TemplateBuild } from '../../domain/template-build.ts'
import type { ControlContext } from '../context.ts'
import { namesOf, requireOwnTemplate } from './find.ts'

export interface GetTemplateRequest {
  teamId: string
  /** Id or name */
  template: string
  after?: BuildFilter['after']
  /** Page size */
  limit: number
}

/** A team's template with one page of its builds, newest first, and whether there are more. Errors: `not_found`. */
export async function getTemplate(
  ctx: ControlContext,
  { teamId, template: identifier, after, limit }: GetTemplateRequest,
): Promise<{ template: Template; names: string[]; builds: TemplateBuild[]; more: boolean }> {
  const template = await requireOwnTemplate(ctx, teamId, identifier)
  const filter = { templateId: template.id, limit: limit + 1, ...(after !== undefined && { after }) }
  const found = await ctx.store.builds.list(filter)
  const names = await namesOf(ctx, template)
  return { template, names, builds: found.slice(0, limit), more: found.length > limit }
}
