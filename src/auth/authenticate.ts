import { ServerError } from '../domain/error.ts'
import type { ApiKeyStore } from '../domain/team.ts'
import { hashApiKey, isApiKeyShaped } from './api-key.ts'

/**
 * The team that an API key belongs to. The look-up is by hash, so its timing says nothing about stored keys.
 * Errors: `unauthenticated`.
 */
export async function authenticateApiKey(
  keys: ApiKeyStore,
  key: string | undefined,
): Promise<{ teamId: string }> {
  if (key === undefined || key === '') {
    throw new ServerError(
      'unauthenticated',
      'API key missing: send it in the X-API-KEY header. "e2b-server env" prints the one this server accepts.',
    )
  }
  const found = isApiKeyShaped(key) ? await keys.findByHash(hashApiKey(key)) : undefined
  if (found === undefined) {
    throw new ServerError(
      'unauthenticated',
      'Invalid API key. "e2b-server env" prints the one this server accepts.',
    )
  }
  return { teamId: found.teamId }
}
