import type { FastifyInstance } from 'fastify'
import { deleteApiKey } from '../../../control/delete-api-key.ts'
import type { ApiParts } from '../../parts.ts'

/** DELETE /api-keys/{apiKeyID}: the key's own requests end with this one. */
export function addDeleteApiKey(app: FastifyInstance, { control }: ApiParts): void {
  app.delete<{ Params: { apiKeyID: string } }>('/api-keys/:apiKeyID', async ({ teamId, params }, reply) => {
    await deleteApiKey(control, { teamId, id: params.apiKeyID })
    return reply.status(204).send()
  })
}
