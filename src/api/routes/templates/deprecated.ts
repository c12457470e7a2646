import type { FastifyInstance } from 'fastify'
import { createBuild } from '../../../control/templates/create.ts'
import { requireSameTeam } from '../../../control/templates/find.ts'
import { describeTemplates } from '../../../control/templates/list.ts'
import { ServerError } from '../../../domain/error.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { CreateTemplateBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { presentLegacyTemplate } from '../../present/template.ts'

/** What the first generation asked for: a build of an image that its client had pushed to a registry of E2B's. */
const firstGeneration = ['/templates', '/templates/:templateID', '/templates/:templateID/builds/:buildID']

/** POST /v2/templates, whose builds are started like those of /v3; and the first generation's, which are refused. */
export function addDeprecatedTemplates(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Body: CreateTemplateBody & { alias: string } }>(
    '/v2/templates',
    { schema: { body: schemaRef('NewTemplateV2') } },
    async ({ body, teamId }, reply) => {
      requireSameTeam(teamId, body.teamID)
      const { template } = await createBuild(control, {
        teamId,
        name: body.alias,
        cpuCount: body.cpuCount ?? undefined,
        memoryMb: body.memoryMB ?? undefined,
      })
      const described = await describeTemplates(control, teamId, [template])
      return reply.status(202).send(described.map(presentLegacyTemplate)[0])
    },
  )

  for (const url of firstGeneration) {
    app.post(url, async () => {
      throw new ServerError(
        'unimplemented',
        'Builds of images that were pushed to a registry of the server have ended. Use Template.build of an SDK from 2.0 on, ' +
          'or "e2b template create", which reads a Dockerfile too.',
      )
    })
  }
}
