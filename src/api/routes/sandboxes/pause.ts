import type { FastifyInstance } from 'fastify'
import { pauseSandbox } from '../../../control/pause-sandbox.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { PauseSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** How long a request may wait for its turn, in ms. */
const waitTimeoutMs = 60_000

/** POST /sandboxes/{sandboxID}/pause, with or without a body. */
export function addPauseSandbox(app: FastifyInstance, { control }: ApiParts): void {
  app.post<SandboxParams & { Body: PauseSandboxBody | null | undefined }>(
    '/sandboxes/:sandboxID/pause',
    { schema: { body: schemaRef('PauseSandbox') } },
    async (request, reply) => {
      const memory = request.body?.memory !== false
      const requireHealthyGuest = request.body?.requireHealthyGuest === true
      const signal = requestSignal(reply, waitTimeoutMs)
      const askedAt = control.clock.now() - request.clock.totalMs()
      const options = { memory, requireHealthyGuest, askedAt, phase: request.phase }
      await pauseSandbox(control, sandboxRef(request), options, signal)
      return reply.status(204).send()
    },
  )
}
