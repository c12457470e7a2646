import type { FastifyInstance } from 'fastify'
import { getTemplate } from '../../../control/templates/get.ts'
import { encodeListToken } from '../../../wire/list-token.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ListTemplatesQuery } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { presentTemplateWithBuilds } from '../../present/template.ts'
import { positionOf } from './position.ts'

/** GET /templates/{templateID}: with its builds, newest first, by pages. */
export function addGetTemplate(app: FastifyInstance, { control }: ApiParts): void {
  app.get<{ Params: { templateID: string }; Querystring: Omit<ListTemplatesQuery, 'teamID'> }>(
    '/templates/:templateID',
    { schema: { querystring: schemaRef('PageQuery') } },
    async ({ params, query, teamId }, reply) => {
      const { limit } = query
      const asked = { teamId, template: params.templateID, limit, ...positionOf(query) }
      const { template, names, builds, more } = await getTemplate(control, asked)
      const last = builds.at(-1)
      if (more && last !== undefined) {
        reply.header('x-next-token', encodeListToken({ startedAt: last.createdAt, id: last.id }))
      }
      return presentTemplateWithBuilds(template, names, builds)
    },
  )
}
