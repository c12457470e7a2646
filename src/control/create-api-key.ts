import { randomUUID } from 'node:crypto'
import { generateApiKey, hashApiKey, maskApiKey } from '../auth/api-key.ts'
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

/** A team's new key, which nobody can read again, and its row. Errors: `not_found` (team), `conflict` (key). */
export async function createApiKey(
  ctx: Context,
  { teamId, name, key = generateApiKey() }: CreateApiKeyRequest,
): Promise<{ key: string; row: ApiKey }> {
  await findTeam(ctx, teamId)
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
