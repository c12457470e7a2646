import type { FastifyInstance, FastifyReply } from 'fastify'
import { type CreateBuildRequest, createBuild } from '../../../control/templates/create.ts'
import { requireSameTeam } from '../../../control/templates/find.ts'
import { describeTemplates } from '../../../control/templates/list.ts'
import { startBuild } from '../../../control/templates/start.ts'
import { parseDockerfileOrder } from '../../../wire/dockerfile-order.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { CreateTemplateBody, TemplateBuildRequestBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { presentLegacyTemplate } from '../../present/template.ts'
import { type BuildParams, buildRef } from './ref.ts'

/**
 * What older clients build templates by: POST /v2/templates, whose builds are started like those of /v3, and the first
 * generation's, which say what to build in a Dockerfile. Their clients push an image too, which nobody needs here.
 */
export function addDeprecatedTemplates(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Body: CreateTemplateBody & { alias: string } }>(
    '/v2/templates',
    { schema: { body: schemaRef('NewTemplateV2') } },
    ({ body, teamId }, reply) => create(reply, body, { teamId, name: body.alias }),
  )

  app.post<{ Body: TemplateBuildRequestBody }>(
    '/templates',
    { schema: { body: schemaRef('TemplateBuildRequest') } },
    async ({ body, teamId }, reply) =>
      create(reply, body, { teamId, name: body.alias || null, order: parseDockerfileOrder(body) }),
  )

  app.post<{ Params: { templateID: string }; Body: TemplateBuildRequestBody }>(
    '/templates/:templateID',
    { schema: { body: schemaRef('TemplateBuildRequest') } },
    async ({ body, teamId, params }, reply) => {
      const again = { name: body.alias || null, template: params.templateID }
      return create(reply, body, { teamId, ...again, order: parseDockerfileOrder(body) })
    },
  )

  app.post<BuildParams>('/templates/:templateID/builds/:buildID', async (request, reply) => {
    await startBuild(control, buildRef(request))
    return reply.status(202).send()
  })

  /** Answers with the template, whose build waits to be started. */
  async function create(
    reply: FastifyReply,
    { teamID, cpuCount, memoryMB }: CreateTemplateBody | TemplateBuildRequestBody,
    request: CreateBuildRequest,
  ): Promise<FastifyReply> {
    requireSameTeam(request.teamId, teamID)
    const size = { cpuCount: cpuCount ?? undefined, memoryMb: memoryMB ?? undefined }
    const { template } = await createBuild(control, { ...request, ...size })
    const described = await describeTemplates(control, request.teamId, [template])
    return reply.status(202).send(described.map(presentLegacyTemplate)[0])
  }
}
