import type { FastifyInstance } from 'fastify'
import type { ApiParts } from '../../parts.ts'
import { credentialsOf } from '../../plugins/authentication.ts'

/**
 * GET /metrics, as Prometheus reads it. It sends the operator's token as its own kind of credentials, a bearer token, where
 * other clients have a header for it.
 */
export function addMetrics(app: FastifyInstance, { authenticator, metrics }: ApiParts): void {
  const isOperator = async (request: Parameters<typeof credentialsOf>[0]) => {
    const { adminToken, bearer } = credentialsOf(request)
    authenticator.operator(adminToken ?? bearer)
  }
  app.get('/metrics', { onRequest: isOperator }, async (_, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )
}
