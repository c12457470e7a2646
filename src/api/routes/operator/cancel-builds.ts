import type { FastifyInstance } from 'fastify'
import { cancelTeamBuilds } from '../../../control/templates/cancel-team-builds.ts'
import type { ApiParts } from '../../parts.ts'

/** POST /admin/teams/{teamID}/builds/cancel. */
export function addCancelTeamBuilds(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Params: { teamID: string } }>('/admin/teams/:teamID/builds/cancel', async ({ params }) => {
    const { cancelled, failed } = await cancelTeamBuilds(control, params.teamID)
    return { cancelledCount: cancelled, failedCount: failed }
  })
}
