import type { FastifyInstance } from 'fastify'
import { createApiKey } from '../../../control/create-api-key.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ApiKeyNameBody } from '../../../wire/team.ts'
import type { ApiParts } from '../../parts.ts'
import { presentCreatedApiKey } from '../../present/api-key.ts'

/** POST /api-keys: the answer is the one time that the key is shown. */
export function addCreateApiKey(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Body: ApiKeyNameBody }>(
    '/api-keys',
    { schema: { body: schemaRef('ApiKeyName') } },
    async ({ teamId, body }, reply) => {
      const created = await createApiKey(control, { teamId, name: body.name })
      return reply.status(201).send(presentCreatedApiKey(created))
    },
  )
}
