import type { BuildOrder } from '../../domain/build-order.ts'
import { ServerError } from '../../domain/error.ts'
import type { TemplateBuild } from '../../domain/template-build.ts'
import type { BuildSpec } from '../../domain/template-builder.ts'
import type { ControlContext } from '../context.ts'
import { resolveBuild, resolveBuildOf } from '../resolve-template.ts'
import { refuseSecond } from './clear-the-way.ts'
import { type BuildRef, requireOwnBuild } from './find.ts'

/** What clients call E2B's own images: those of the stock templates here, which have the same names. */
const stockImage = /^(?:docker\.io\/)?e2bdev\/(base|code-interpreter|desktop)(?::latest)?$/

/**
 * Starts a build that waits, of `given` or of what was said when it was asked for: it is `building` when this resolves.
 * Errors: `not_found` (build, or what it begins with), `conflict` (it isn't `waiting`, or another with one of its tags runs),
 * `invalid_argument` (nobody said what it is made of), `resource_exhausted`, `unavailable` (the server is draining, or builds
 * the stock template that it begins with: it waits, and may be started later), `failed_precondition` (that can't be built).
 */
export async function startBuild(ctx: ControlContext, ref: BuildRef, given?: BuildOrder): Promise<void> {
  ctx.admission.refuseWhileDraining()
  const { template, build } = await requireOwnBuild(ctx, ref)
  if (build.status !== 'waiting') throw notWaiting(build)
  const plan = await ctx.store.builds.plan(build.id)
  if (plan === undefined) throw notWaiting(build)
  const { from: wanted, ...order } = given ?? plan.order ?? noOrder()
  const from = await resolveFrom(ctx, ref.teamId, wanted)
  await ctx.templateTurns.run(ref.teamId, async () => {
    await refuseSecond(ctx, template, plan.tags)
    const { tags, minFreeDiskMb } = plan
    await ctx.builder.start(build, { ...order, from, tags, minFreeDiskMb, keepAs: null })
  })
  ctx.log.info({ templateId: template.id, buildId: build.id }, 'a build was started')
}

async function resolveFrom(
  ctx: ControlContext,
  teamId: string,
  from: BuildOrder['from'],
): Promise<BuildSpec['from']> {
  if ('image' in from) {
    const stockName = stockImage.exec(from.image)?.[1]
    const stock = stockName === undefined ? undefined : await ctx.store.templates.findByAlias(null, stockName)
    return stock === undefined ? from : { build: (await resolveBuildOf(ctx, stock, from.image)).build }
  }
  return { build: (await resolveBuild(ctx, teamId, from.template)).build }
}

function noOrder(): never {
  throw new ServerError(
    'invalid_argument',
    'This build was asked for without a Dockerfile: start it by POST /v2/templates/{templateID}/builds/{buildID}.',
  )
}

function notWaiting({ id, status, reason }: TemplateBuild): ServerError {
  const why = reason === null ? '' : ` (${reason.message})`
  return new ServerError(
    'conflict',
    `Build '${id}' is ${status} already${why}. Only a build that waits can be started: ask for a new one.`,
  )
}
