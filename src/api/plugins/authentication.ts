import type { FastifyInstance } from 'fastify'
import { authenticateApiKey } from '../../auth/authenticate.ts'
import type { ApiKeyStore } from '../../domain/team.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose key the request carries */
    teamId: string
  }
}

/** Asks every request of this scope for an API key, before its body is read. */
export function addAuthentication(scope: FastifyInstance, keys: ApiKeyStore): void {
  scope.decorateRequest('teamId', '')
  scope.addHook('onRequest', async (request) => {
    const header = request.headers['x-api-key']
    const { teamId } = await authenticateApiKey(keys, Array.isArray(header) ? header[0] : header)
    request.teamId = teamId
  })
}
