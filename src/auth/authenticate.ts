/**
 * Who sends a request: a team by its API key, or the server's operator by the admin token, who may speak for any team
 * by naming it. Look-ups are by hash and compares take constant time, so timing says nothing about stored secrets.
 */
import { ServerError } from '../domain/error.ts'
import type { ApiKey, ApiKeyStore, TeamStore } from '../domain/team.ts'
import { hashApiKey, isApiKeyShaped } from './api-key.ts'
import { isSecret } from './secret.ts'

/** What of a request says who sends it; undefined where it has no such header. */
export interface Credentials {
  /** `X-API-KEY` */
  apiKey: string | undefined
  /** `X-Admin-Token` */
  adminToken: string | undefined
  /** `X-Team-ID` */
  teamId: string | undefined
}

export interface Authenticator {
  /** The key as it is stored. Errors: `unauthenticated`. */
  key(apiKey: string | undefined): Promise<ApiKey>
  /**
   * The team that a request is for: the API key's, else the one that the operator names. Errors: `unauthenticated`,
   * `invalid_argument` (`X-Team-ID` is missing or isn't the key's), `not_found` (no such team).
   */
  team(credentials: Credentials): Promise<{ teamId: string }>
  /** Errors: `unauthenticated`. */
  operator(adminToken: string | undefined): void
}

export interface AuthenticatorParts {
  keys: ApiKeyStore
  teams: TeamStore
  adminToken: string
  /** Called with each key that was accepted */
  used: (key: ApiKey) => void
}

export function createAuthenticator({ keys, teams, adminToken, used }: AuthenticatorParts): Authenticator {
  async function key(given: string | undefined): Promise<ApiKey> {
    if (given === undefined || given === '') {
      throw new ServerError(
        'unauthenticated',
        'API key missing: send it in the X-API-KEY header. "e2b-server env" prints the one this server accepts.',
      )
    }
    const found = isApiKeyShaped(given) ? await keys.findByHash(hashApiKey(given)) : undefined
    if (found === undefined) {
      throw new ServerError(
        'unauthenticated',
        // The first sentence is E2B's own (e2b-behaviour 6).
        'Invalid API key, please visit https://e2b.dev/docs/api-key for more information. ' +
          'This server accepts its own keys only; "e2b-server env" prints one.',
      )
    }
    used(found)
    return found
  }

  function operator(given: string | undefined): void {
    if (given !== undefined && given !== '' && isSecret(given, adminToken)) return
    throw new ServerError(
      'unauthenticated',
      `${given ? 'Invalid admin token' : 'Admin token missing'}: send it in the X-Admin-Token header. ` +
        'It is in the file admin-token of the state directory, unless the server was started with another.',
    )
  }

  return {
    key,
    operator,

    async team({ apiKey, adminToken: given, teamId }) {
      if (apiKey !== undefined || given === undefined) {
        const found = await key(apiKey)
        if (teamId !== undefined && teamId !== found.teamId) {
          throw new ServerError('invalid_argument', 'X-Team-ID is not the team of the API key. Leave it out.')
        }
        return { teamId: found.teamId }
      }
      operator(given)
      if (teamId === undefined) {
        throw new ServerError(
          'invalid_argument',
          'With an admin token, X-Team-ID says which team is meant. "e2b-server teams list" shows their ids.',
        )
      }
      const team = await teams.find(teamId)
      if (team === undefined) throw new ServerError('not_found', `There is no team with id '${teamId}'.`)
      return { teamId: team.id }
    },
  }
}
