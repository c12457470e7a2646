import type { FastifyInstance } from 'fastify'

/** GET /health: 200 as soon as the server takes requests. */
export function addHealth(app: FastifyInstance): void {
  app.get('/health', async () => ({ status: 'ok' }))
}
