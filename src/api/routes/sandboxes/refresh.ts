import type { FastifyInstance } from 'fastify'
import { refreshSandbox } from '../../../control/set-timeout.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { RefreshSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** Seconds where the body doesn't say them: as long as a first-generation sandbox lives. */
const defaultDurationS = 15

/** How long a request may wait for its turn, in ms. */
const waitTimeoutMs = 60_000

/** POST /sandboxes/{sandboxID}/refreshes: only ever later. */
export function addRefreshSandbox(app: FastifyInstance, { control }: ApiParts): void {
  app.post<SandboxParams & { Body: RefreshSandboxBody | null | undefined }>(
    '/sandboxes/:sandboxID/refreshes',
    { schema: { body: schemaRef('RefreshSandbox') } },
    async (request, reply) => {
      const signal = requestSignal(reply, waitTimeoutMs)
      await refreshSandbox(control, sandboxRef(request), request.body?.duration ?? defaultDurationS, signal)
      return reply.status(204).send()
    },
  )
}
