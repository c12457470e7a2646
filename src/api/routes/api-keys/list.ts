import type { FastifyInstance } from 'fastify'
import type { ApiParts } from '../../parts.ts'
import { presentApiKey } from '../../present/api-key.ts'

/** GET /api-keys: all of the team, masked. */
export function addListApiKeys(app: FastifyInstance, { control }: ApiParts): void {
  app.get('/api-keys', async ({ teamId }) => {
    const keys = await control.store.apiKeys.list(teamId)
    return keys.map(presentApiKey)
  })
}
