import type { FastifyInstance } from 'fastify'
import { requireSameTeam } from '../../../control/templates/find.ts'
import { listTemplates } from '../../../control/templates/list.ts'
import { encodeListToken } from '../../../wire/list-token.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ListTemplatesQuery, TemplateBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { presentTemplate } from '../../present/template.ts'
import { positionOf } from './position.ts'

/** How many templates an answer without pages reads at once. */
const batchSize = 500

/** GET /templates, all of the team's, and GET /v2/templates by pages (e2b-wire 2.2). */
export function addListTemplates(app: FastifyInstance, { control }: ApiParts): void {
  app.get<{ Querystring: Pick<ListTemplatesQuery, 'teamID'> }>(
    '/templates',
    { schema: { querystring: schemaRef('ListAllTemplatesQuery') } },
    async ({ query, teamId }) => {
      requireSameTeam(teamId, query.teamID)
      const listed: TemplateBody[] = []
      let page = await listTemplates(control, { teamId, limit: batchSize })
      for (;;) {
        for (const template of page.templates) listed.push(presentTemplate(template))
        const after = page.next
        if (after === undefined) return listed
        page = await listTemplates(control, { teamId, limit: batchSize, after })
      }
    },
  )

  app.get<{ Querystring: ListTemplatesQuery }>(
    '/v2/templates',
    { schema: { querystring: schemaRef('ListTemplatesQuery') } },
    async ({ query, teamId }, reply) => {
      requireSameTeam(teamId, query.teamID)
      const { limit } = query
      const { templates, next } = await listTemplates(control, { teamId, limit, ...positionOf(query) })
      if (next !== undefined) {
        reply.header('x-next-token', encodeListToken({ startedAt: next.createdAt, id: next.id }))
      }
      return templates.map(presentTemplate)
    },
  )
}
