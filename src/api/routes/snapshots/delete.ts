import type { FastifyInstance } from 'fastify'
import { deleteSnapshot } from '../../../control/delete-snapshot.ts'
import { patientSignal } from '../../../lib/patience.ts'
import type { ApiParts } from '../../parts.ts'

/** How long removing an image may take, in ms. */
const removeTimeoutMs = 30_000

/** DELETE /templates/{templateID}, which is how clients delete snapshots (e2b-wire 2.1); templates aren't deletable yet. */
export function addDeleteSnapshot(app: FastifyInstance, { control }: ApiParts): void {
  app.delete<{ Params: { templateID: string } }>('/templates/:templateID', async (request, reply) => {
    const { teamId, params } = request
    const what = { teamId, identifier: params.templateID }
    await deleteSnapshot(control, what, patientSignal(removeTimeoutMs))
    return reply.status(204).send()
  })
}
