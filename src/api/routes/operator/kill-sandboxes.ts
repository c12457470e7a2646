import type { FastifyInstance } from 'fastify'
import { killTeamSandboxes } from '../../../control/kill-team-sandboxes.ts'
import { patientSignal } from '../../../lib/patience.ts'
import type { ApiParts } from '../../parts.ts'

/** How long ending all of a team's sandboxes may take, in ms. */
const killTimeoutMs = 120_000

/** POST /admin/teams/{teamID}/sandboxes/kill. It goes on when the client leaves. */
export function addKillTeamSandboxes(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Params: { teamID: string } }>('/admin/teams/:teamID/sandboxes/kill', async ({ params }) => {
    const signal = patientSignal(killTimeoutMs)
    const { killed, failed } = await killTeamSandboxes(control, params.teamID, signal)
    return { killedCount: killed, failedCount: failed }
  })
}
