import type { FastifyInstance } from 'fastify'
import { deleteTemplate } from '../../../control/delete-template.ts'
import { patientSignal } from '../../../lib/patience.ts'
import type { ApiParts } from '../../parts.ts'

/** How long removing images may take, in ms. */
const removeTimeoutMs = 30_000

/** DELETE /templates/{templateID}: templates, and snapshots by their ids (e2b-wire 2.1, 2.2). */
export function addDeleteTemplate(app: FastifyInstance, { control }: ApiParts): void {
  app.delete<{ Params: { templateID: string } }>('/templates/:templateID', async (request, reply) => {
    const { teamId, params } = request
    const what = { teamId, identifier: params.templateID }
    await deleteTemplate(control, what, patientSignal(removeTimeoutMs))
    return reply.status(204).send()
  })
}
