import type { FastifyInstance } from 'fastify'
import { createBuild } from '../../../control/templates/create.ts'
import { requireSameTeam } from '../../../control/templates/find.ts'
import { ServerError } from '../../../domain/error.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { CreatedTemplateBody, CreateTemplateBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'

/** POST /v3/templates: a build of a template, which is made with it where it isn't there (e2b-wire 2.2). */
export function addCreateTemplate(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Body: CreateTemplateBody }>(
    '/v3/templates',
    { schema: { body: schemaRef('NewTemplate') } },
    async ({ body, teamId }, reply) => {
      requireSameTeam(teamId, body.teamID)
      const name = body.name || body.alias
      if (!name)
        throw new ServerError('invalid_argument', "The request body has no 'name', which is required.")
      const { template, build, names, tags } = await createBuild(control, {
        teamId,
        name,
        tags: body.tags ?? [],
        cpuCount: body.cpuCount ?? undefined,
        memoryMb: body.memoryMB ?? undefined,
        minFreeDiskMb: body.minFreeDiskMb ?? undefined,
      })
      const created: CreatedTemplateBody = {
        templateID: template.id,
        buildID: build.id,
        public: template.isPublic,
        names,
        tags,
        aliases: template.aliases,
      }
      return reply.status(202).send(created)
    },
  )
}
