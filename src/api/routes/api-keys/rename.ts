import type { FastifyInstance } from 'fastify'
import { renameApiKey } from '../../../control/rename-api-key.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ApiKeyNameBody } from '../../../wire/team.ts'
import type { ApiParts } from '../../parts.ts'

/** PATCH /api-keys/{apiKeyID} */
export function addRenameApiKey(app: FastifyInstance, { control }: ApiParts): void {
  app.patch<{ Params: { apiKeyID: string }; Body: ApiKeyNameBody }>(
    '/api-keys/:apiKeyID',
    { schema: { body: schemaRef('ApiKeyName') } },
    async ({ teamId, params, body }, reply) => {
      await renameApiKey(control, { teamId, id: params.apiKeyID }, body.name)
      return reply.status(200).send()
    },
  )
}
