import type { FastifyInstance } from 'fastify'
import { ServerError } from '../../domain/error.ts'
import { checkJsonBounds, type JsonBounds } from '../../lib/json-bounds.ts'

/** What a body may be made of, which its length doesn't bound: a sandbox's variables and metadata, mostly. */
const jsonBounds: JsonBounds = { membersMax: 20_000, depthMax: 64 }

/** JSON bodies, where an empty one counts as absent: SDKs send the header with nothing behind it (e2b-wire 2.1). */
export function addJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser(['application/json', 'text/plain'])
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (body.length === 0) return done(null, undefined)
    try {
      checkJsonBounds(body, jsonBounds)
    } catch (thrown) {
      if (thrown instanceof RangeError) return done(tooMuch(thrown), undefined)
      // What breaks off is for the parser to refuse.
    }
    void parse(request, body.toString('utf8'), (error, value) => {
      const refusal = new ServerError('invalid_argument', 'The request body is not valid JSON.', {
        cause: error,
      })
      done(error === null ? null : refusal, value)
    })
  })
}

function tooMuch(cause: RangeError): ServerError {
  const { membersMax, depthMax } = jsonBounds
  const message = `The request body has more than ${membersMax} members, or more than ${depthMax} levels of them.`
  return new ServerError('invalid_argument', message, { cause })
}
