import { ServerError } from '../domain/error.ts'
import type { Store } from '../domain/store.ts'
import type { ApiKey } from '../domain/team.ts'

/** Whose key is meant. Another team's answers as if it didn't exist. */
export interface ApiKeyRef {
  teamId: string
  id: string
}

/** The key if it is the team's. Errors: `not_found`. */
export async function findApiKey(
  { store }: { store: Pick<Store, 'apiKeys'> },
  { teamId, id }: ApiKeyRef,
): Promise<ApiKey> {
  const key = await store.apiKeys.find(id)
  if (key?.teamId === teamId) return key
  throw new ServerError('not_found', `There is no API key with id '${id}'.`)
}
