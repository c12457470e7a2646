import type { FastifyRequest } from 'fastify'
import type { SandboxRef } from '../../../control/find-sandbox.ts'

export interface SandboxParams {
  Params: { sandboxID: string }
}

/** The sandbox that a path means; `<id>-<client id>` of older clients is the same as `<id>` (e2b-wire 1.5). */
export function sandboxRef(request: FastifyRequest<SandboxParams>): SandboxRef {
  return { teamId: request.teamId, id: request.params.sandboxID.split('-')[0] ?? '' }
}
