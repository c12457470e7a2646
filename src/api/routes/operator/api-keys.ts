import type { FastifyInstance } from 'fastify'
import { createApiKey } from '../../../control/create-api-key.ts'
import { deleteApiKey } from '../../../control/delete-api-key.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ApiKeyNameBody } from '../../../wire/team.ts'
import type { ApiParts } from '../../parts.ts'
import { presentCreatedApiKey } from '../../present/api-key.ts'

/** POST /admin/teams/{teamID}/api-keys and DELETE /admin/teams/{teamID}/api-keys/{apiKeyID}. */
export function addOperatorApiKeys(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Params: { teamID: string }; Body: ApiKeyNameBody }>(
    '/admin/teams/:teamID/api-keys',
    { schema: { body: schemaRef('ApiKeyName') } },
    async ({ params, body }, reply) => {
      const created = await createApiKey(control, { teamId: params.teamID, name: body.name })
      return reply.status(201).send(presentCreatedApiKey(created))
    },
  )

  app.delete<{ Params: { teamID: string; apiKeyID: string } }>(
    '/admin/teams/:teamID/api-keys/:apiKeyID',
    async ({ params }, reply) => {
      await deleteApiKey(control, { teamId: params.teamID, id: params.apiKeyID })
      return reply.status(204).send()
    },
  )
}
