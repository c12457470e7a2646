import type { FastifyInstance } from 'fastify'
import { setSandboxTimeout } from '../../../control/set-timeout.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { SandboxTimeoutBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** How long a request may wait for its turn, in ms. */
const waitTimeoutMs = 60_000

/** POST /sandboxes/{sandboxID}/timeout */
export function addSetSandboxTimeout(app: FastifyInstance, { control }: ApiParts): void {
  app.post<SandboxParams & { Body: SandboxTimeoutBody }>(
    '/sandboxes/:sandboxID/timeout',
    { schema: { body: schemaRef('SandboxTimeout') } },
    async (request, reply) => {
      const signal = requestSignal(reply, waitTimeoutMs)
      await setSandboxTimeout(control, sandboxRef(request), request.body.timeout, signal)
      return reply.status(204).send()
    },
  )
}
