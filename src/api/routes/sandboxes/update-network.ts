import type { FastifyInstance } from 'fastify'
import { updateNetwork } from '../../../control/update-network.ts'
import { parseEgress } from '../../../wire/network.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { SandboxNetworkUpdateBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'
import { requireEgress } from './require-egress.ts'

/** PUT /sandboxes/{sandboxID}/network: replaces what the sandbox may reach; what is absent is cleared. */
export function addUpdateNetwork(app: FastifyInstance, { control }: ApiParts): void {
  app.put<SandboxParams & { Body: SandboxNetworkUpdateBody | null | undefined }>(
    '/sandboxes/:sandboxID/network',
    { schema: { body: schemaRef('NetworkUpdate') } },
    async (request, reply) => {
      const body = request.body ?? {}
      const egress = parseEgress(body)
      const allowInternetAccess = body.allow_internet_access ?? null
      requireEgress(control.node.capabilities, egress, allowInternetAccess)
      await updateNetwork(control, sandboxRef(request), { egress, allowInternetAccess })
      return reply.status(204).send()
    },
  )
}
