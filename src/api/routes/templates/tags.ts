import type { FastifyInstance } from 'fastify'
import { assignTags, listTags, removeTags } from '../../../control/templates/tags.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { AssignTagsBody, RemoveTagsBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { presentTag } from '../../present/template.ts'

/** POST and DELETE /templates/tags, GET /templates/{templateID}/tags. */
export function addTags(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Body: AssignTagsBody }>(
    '/templates/tags',
    { schema: { body: schemaRef('AssignTags') } },
    async ({ body, teamId }, reply) => {
      const { buildId, tags } = await assignTags(control, { teamId, ...body })
      return reply.status(201).send({ tags, buildID: buildId })
    },
  )

  app.delete<{ Body: RemoveTagsBody }>(
    '/templates/tags',
    { schema: { body: schemaRef('RemoveTags') } },
    async ({ body, teamId }, reply) => {
      await removeTags(control, { teamId, ...body })
      return reply.status(204).send()
    },
  )

  app.get<{ Params: { templateID: string } }>('/templates/:templateID/tags', async ({ params, teamId }) =>
    (await listTags(control, teamId, params.templateID)).map(presentTag),
  )
}
