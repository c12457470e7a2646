import { randomUUID } from 'node:crypto'
import { generateApiKey, hashApiKey, maskApiKey } from '../auth/api-key.ts'
import { ServerError } from '../domain/error.ts'
import type { Store } from '../domain/store.ts'
import type { ApiKey } from '../domain/team.ts'
import type { Clock } from '../lib/clock.ts'
import { findTeam } from './find-team.ts'

interface Context {
  store: Pick<Store, 'apiKeys' | 'teams'>
  clock: Clock
}

export interface CreateApiKeyRequest {
  teamId: string
  name: string
  /** One that its user has already; without it a new one is made */
  key?: string
}

/** How many keys a team may have. */
const keysMax = 1_000

/**
 * A team's new key, which nobody can read again, and its row. Errors: `not_found` (team), `resource_exhausted` (too
 * many), `conflict` (key).
 */
export async function createApiKey(
  ctx: Context,
  { teamId, name, key = generateApiKey() }: CreateApiKeyRequest,
): Promise<{ key: string; row: ApiKey }> {
  await findTeam(ctx, teamId)
  if ((await ctx.store.apiKeys.list(teamId)).length >= keysMax) {
    throw new ServerError('resource_exhausted', `A team has at most ${keysMax} API keys. Delete some first.`)
  }
  const row: ApiKey = {
    id: randomUUID(),
    teamId,
    name,
    hash: hashApiKey(key),
    mask: maskApiKey(key),
    createdAt: ctx.clock.now(),
    lastUsedAt: null,
  }
  await ctx.store.apiKeys.create(row)
  return { key, row }
}
