import type { FastifyInstance } from 'fastify'
import { startBuild } from '../../../control/templates/start.ts'
import { parseBuildOrder } from '../../../wire/build-order.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { StartBuildBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { type BuildParams, buildRef } from './ref.ts'

/** POST /v2/templates/{templateID}/builds/{buildID}: the build is `building` when this is answered (e2b-wire 4.1). */
export function addStartBuild(app: FastifyInstance, { control }: ApiParts): void {
  app.post<BuildParams & { Body: StartBuildBody }>(
    '/v2/templates/:templateID/builds/:buildID',
    { schema: { body: schemaRef('StartBuild') } },
    async (request, reply) => {
      const order = parseBuildOrder(request.body)
      await startBuild(control, buildRef(request), order)
      return reply.status(202).send()
    },
  )
}
