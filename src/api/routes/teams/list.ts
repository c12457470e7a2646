import type { FastifyInstance } from 'fastify'
import type { Authenticator } from '../../../auth/authenticate.ts'
import type { ControlContext } from '../../../control/context.ts'
import { findTeam } from '../../../control/find-team.ts'
import type { TeamBody } from '../../../wire/team.ts'
import type { ApiParts } from '../../parts.ts'
import { credentialsOf } from '../../plugins/authentication.ts'

/**
 * GET /teams: the team of an API key, all teams for the operator. E2B's CLI asks with a bearer token that it has from
 * a login and keeps the answer's `apiKey` for its commands. There are no logins here and keys are stored as hashes, so
 * the bearer token is an API key and what is given back is that very key; the operator gets none.
 */
export function addListTeams(app: FastifyInstance, { control, authenticator }: ApiParts): void {
  app.get('/teams', async (request): Promise<TeamBody[]> => {
    const { apiKey, adminToken } = credentialsOf(request)
    if (apiKey === undefined && adminToken !== undefined) return allTeams(control, authenticator, adminToken)
    const { teamId } = await authenticator.key(apiKey)
    const { id, name } = await findTeam(control, teamId)
    return [{ teamID: id, name, apiKey: apiKey ?? '', isDefault: true }]
  })
}

async function allTeams(
  { store }: ControlContext,
  authenticator: Authenticator,
  adminToken: string,
): Promise<TeamBody[]> {
  authenticator.operator(adminToken)
  const teams = await store.teams.list()
  return teams.map(({ id, name }, index) => ({ teamID: id, name, apiKey: '', isDefault: index === 0 }))
}
