import type { FastifyInstance, FastifyRequest } from 'fastify'
import { updateTemplate } from '../../../control/templates/update.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { UpdateTemplateBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'

interface UpdateRoute {
  Params: { templateID: string }
  Body: UpdateTemplateBody
}

/** PATCH /v2/templates/{templateID}, and PATCH /templates/{templateID}, which says no names. */
export function addUpdateTemplate(app: FastifyInstance, { control }: ApiParts): void {
  const options = { schema: { body: schemaRef('TemplateUpdate') } }
  const update = ({ params, body, teamId }: FastifyRequest<UpdateRoute>) =>
    updateTemplate(control, { teamId, template: params.templateID, isPublic: body.public ?? undefined })

  app.patch<UpdateRoute>('/v2/templates/:templateID', options, async (request) => ({
    names: await update(request),
  }))

  app.patch<UpdateRoute>('/templates/:templateID', options, async (request, reply) => {
    await update(request)
    return reply.status(200).send()
  })
}
