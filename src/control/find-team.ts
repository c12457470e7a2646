import { ServerError } from '../domain/error.ts'
import type { Store } from '../domain/store.ts'
import type { Team } from '../domain/team.ts'

/** The error for a team that isn't there, or isn't the asker's. */
export function teamNotFound(id: string): ServerError {
  return new ServerError('not_found', `There is no team with id '${id}'.`)
}

/** Errors: `not_found`. */
export async function findTeam({ store }: { store: Pick<Store, 'teams'> }, id: string): Promise<Team> {
  const team = await store.teams.find(id)
  if (team === undefined) throw teamNotFound(id)
  return team
}
