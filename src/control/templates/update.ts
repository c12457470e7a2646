import type { ControlContext } from '../context.ts'
import { namesOf, requireOwnTemplate } from './find.ts'

export interface UpdateTemplateRequest {
  teamId: string
  /** Id or name */
  template: string
  /** Absent: as it is */
  isPublic: boolean | undefined
}

/** Publishes a team's template, or takes it back, and returns its full names. Errors: `not_found`. */
export async function updateTemplate(
  ctx: ControlContext,
  { teamId, template: identifier, isPublic }: UpdateTemplateRequest,
): Promise<string[]> {
  const template = await requireOwnTemplate(ctx, teamId, identifier)
  if (isPublic !== undefined && isPublic !== template.isPublic) {
    await ctx.store.templates.update(template.id, { isPublic, updatedAt: ctx.clock.now() })
    ctx.log.info({ templateId: template.id, isPublic }, 'template updated')
  }
  return namesOf(ctx, template)
}
