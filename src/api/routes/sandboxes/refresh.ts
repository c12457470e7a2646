import type { FastifyInstance } from 'fastify'
import { refreshSandbox } from '../../../control/set-timeout.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { RefreshSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** Seconds where the body doesn't say them: as long as a first-generation sandbox lives. */
const defaultDurationS = 15

/** POST /sandboxes/{sandboxID}/refreshes: only ever later. */
export function addRefreshSandbox(app: FastifyInstance, { control }: ApiParts): void {
  app.post<SandboxParams & { Body: RefreshSandboxBody | null | undefined }>(
    '/sandboxes/:sandboxID/refreshes',
    { schema: { body: schemaRef('RefreshSandbox') } },
    async (request, reply) => {
      await refreshSandbox(control, sandboxRef(request), request.body?.duration ?? defaultDurationS)
      return reply.status(204).send()
    },
  )
}
