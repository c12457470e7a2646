import type { ControlContext } from '../context.ts'
import { findTeam } from '../find-team.ts'

/** Ends every build of a team that waits or runs. Errors: `not_found` (team). */
export async function cancelTeamBuilds(
  ctx: ControlContext,
  teamId: string,
): Promise<{ cancelled: number; failed: number }> {
  await findTeam(ctx, teamId)
  const builds = await ctx.store.builds.list({ teamId, statuses: ['waiting', 'building'], isSnapshot: false })
  const cancelling = builds.map(({ id }) =>
    ctx.builder.cancel(id, "The server's operator cancelled this build."),
  )
  const outcomes = await Promise.allSettled(cancelling)
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected')
  for (const { reason } of failures) {
    ctx.log.warn({ err: reason }, 'a build of a team could not be cancelled for the operator')
  }
  return { cancelled: builds.length - failures.length, failed: failures.length }
}
