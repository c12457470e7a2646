import type { FastifyInstance } from 'fastify'
import { ServerError } from '../../domain/error.ts'

/** JSON bodies, where an empty one counts as absent: SDKs send the header with nothing behind it (e2b-wire 2.1). */
export function addJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser(['application/json', 'text/plain'])
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body: string, done) => {
    if (body === '') return done(null, undefined)
    void parse(request, body, (error, value) => {
      const refusal = new ServerError('invalid_argument', 'The request body is not valid JSON.', {
        cause: error,
      })
      done(error === null ? null : refusal, value)
    })
  })
}
