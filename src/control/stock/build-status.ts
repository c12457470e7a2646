import { ServerError } from '../../domain/error.ts'
import type { ControlContext } from '../context.ts'
import { type BuildProgress, type LogPage, progressOf } from '../templates/build-logs.ts'

/** How far a build of a stock template is, and what it has said since. Errors: `not_found`. */
export async function stockBuildStatus(
  ctx: ControlContext,
  name: string,
  buildId: string,
  page: LogPage,
): Promise<BuildProgress> {
  const build = await ctx.store.builds.find(buildId.toLowerCase())
  if (build?.templateId === name) return progressOf(ctx, build, page)
  throw new ServerError('not_found', `Template "${name}" has no build with id '${buildId.slice(0, 64)}'.`)
}
