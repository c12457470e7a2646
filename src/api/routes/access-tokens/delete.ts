import type { FastifyInstance } from 'fastify'
import { ServerError } from '../../../domain/error.ts'

/** DELETE /access-tokens/{accessTokenID}: there are none, so none is found. */
export function addDeleteAccessToken(app: FastifyInstance): void {
  app.delete<{ Params: { accessTokenID: string } }>('/access-tokens/:accessTokenID', async ({ params }) => {
    throw new ServerError(
      'not_found',
      `There is no access token with id '${params.accessTokenID}', and none at all: this server has API keys only.`,
    )
  })
}
