import { ServerError } from '../../domain/error.ts'
import type { ControlContext } from '../context.ts'
import { requireOwnTemplate } from './find.ts'

export interface FilesRequest {
  teamId: string
  /** Id or name of the template that they are for */
  template: string
  /** As the client made it: 64 hex digits */
  hash: string
}

export interface FilesLink {
  /** The team has them already */
  isPresent: boolean
  /** Secret of a link to upload them by, also where they are there: clients may replace them */
  link: string
}

/** Whether the files of a COPY step are here, and where they go. Errors: `invalid_argument` (hash), `not_found` (template). */
export async function linkFiles(
  ctx: ControlContext,
  { teamId, template, hash }: FilesRequest,
): Promise<FilesLink> {
  if (!/^[0-9a-f]{64}$/.test(hash)) {
    throw new ServerError('invalid_argument', "The files' hash must be 64 lower-case hex digits.")
  }
  await requireOwnTemplate(ctx, teamId, template)
  const isPresent = await ctx.archives.has(teamId, hash)
  return { isPresent, link: ctx.archives.createLink(teamId, hash) }
}
