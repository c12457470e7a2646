import type { FastifyInstance } from 'fastify'

/** GET /health: 200 as soon as the server takes requests, with E2B's text. */
export function addHealth(app: FastifyInstance): void {
  app.get('/health', (_request, reply) => reply.type('text/plain').send('Health check successful'))
}
