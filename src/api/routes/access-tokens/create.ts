import type { FastifyInstance } from 'fastify'
import { errorBody } from '../../../wire/error-map.ts'

/** POST /access-tokens: E2B has ended access tokens and answers 410 (e2b-wire 2.3); here there never were any. */
export function addCreateAccessToken(app: FastifyInstance): void {
  app.post('/access-tokens', async (_request, reply) =>
    reply
      .status(410)
      .send(errorBody(410, 'There are no access tokens any more. Use an API key: POST /api-keys makes one.')),
  )
}
