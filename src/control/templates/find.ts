/** A team's own templates and builds by what clients call them. */
import { ServerError } from '../../domain/error.ts'
import type { Template } from '../../domain/template.ts'
import type { TemplateBuild } from '../../domain/template-build.ts'
import type { ControlContext } from '../context.ts'
import { namespaceOf } from '../namespace.ts'
import { findOwnTemplate, templateNotFound } from '../resolve-template.ts'

/** A build as a path names it. */
export interface BuildRef {
  teamId: string
  /** The id of its template, or a name */
  template: string
  /** A UUID */
  buildId: string
}

/** Errors: `not_found`. */
export async function requireOwnTemplate(
  ctx: ControlContext,
  teamId: string,
  identifier: string,
): Promise<Template> {
  const template = await findOwnTemplate(ctx, teamId, identifier)
  if (template === undefined) throw await templateNotFound(ctx, teamId, identifier)
  return template
}

/** Errors: `not_found`, in words that clients look for: "not found". */
export async function requireOwnBuild(
  ctx: ControlContext,
  { teamId, template: identifier, buildId }: BuildRef,
): Promise<{ template: Template; build: TemplateBuild }> {
  const template = await requireOwnTemplate(ctx, teamId, identifier)
  const build = await ctx.store.builds.find(buildId.toLowerCase())
  if (build?.templateId === template.id) return { template, build }
  throw new ServerError(
    'not_found',
    `Build not found: template "${identifier}" has no build with id '${buildId.slice(0, 64)}'.`,
  )
}

/** Full names, `<namespace>/<name>`, of the team's own template. */
export async function namesOf(ctx: ControlContext, template: Template): Promise<string[]> {
  const namespace = template.teamId === null ? undefined : await namespaceOf(ctx, template.teamId)
  return template.aliases.map((alias) => (namespace === undefined ? alias : `${namespace}/${alias}`))
}

/**
 * Checks the team that older clients name in a request: there is but that of the key. Errors: `forbidden`.
 */
export function requireSameTeam(teamId: string, asked: string | null | undefined): void {
  if (asked === undefined || asked === null || asked === '' || asked === teamId) return
  throw new ServerError(
    'forbidden',
    `teamID '${asked.slice(0, 64)}' is not the team of the API key. Leave it out.`,
  )
}
