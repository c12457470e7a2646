import type { FastifyInstance } from 'fastify'
import { corsHeaders, isPreflight, preflightHeaders } from '../../wire/cors.ts'

/**
 * Lets scripts of any web page call the API: answers preflights, whatever they ask for, ahead of routing and
 * authentication, and marks every other answer. A preflight for envd by the routing headers comes here too, because it
 * names them but doesn't carry them (spec/routing.md).
 */
export function addCors(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    if (isPreflight(request)) return reply.status(204).headers(preflightHeaders(request)).send()
    reply.headers(corsHeaders(request))
  })
}
