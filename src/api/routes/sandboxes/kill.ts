import type { FastifyInstance } from 'fastify'
import { killSandbox } from '../../../control/kill-sandbox.ts'
import { patientSignal } from '../../../lib/patience.ts'
import type { ApiParts } from '../../parts.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** How long a request waits for the end of a sandbox, in ms. */
const killTimeoutMs = 30_000

/** DELETE /sandboxes/{sandboxID}. It goes on when the client leaves: the end is recorded first. */
export function addKillSandbox(app: FastifyInstance, { control }: ApiParts): void {
  app.delete<SandboxParams>('/sandboxes/:sandboxID', async (request, reply) => {
    const { phase } = request
    await killSandbox(control, sandboxRef(request), patientSignal(killTimeoutMs), { phase })
    return reply.status(204).send()
  })
}
