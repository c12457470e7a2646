import type { FastifyInstance } from 'fastify'
import { patientSignal } from '../../../lib/patience.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { CollectedBody, CollectGarbageBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'

/** How long removing what nobody uses may take, in ms. */
const collectTimeoutMs = 600_000

/** POST /admin/templates/gc, this server's own: frees what builds of all teams have left. It goes on when the client leaves. */
export function addCollectGarbage(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Body: CollectGarbageBody | null }>(
    '/admin/templates/gc',
    { schema: { body: schemaRef('CollectGarbage') } },
    async ({ body }): Promise<CollectedBody> => {
      const signal = patientSignal(collectTimeoutMs)
      const images = await control.stock.collect(signal)
      const collected = await control.builder.collectGarbage(
        signal,
        body?.all === true ? { quotaBytes: 0 } : {},
      )
      return { ...collected, images }
    },
  )
}
