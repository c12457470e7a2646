import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ServerError, toError } from '../../domain/error.ts'
import type { Log } from '../../lib/log.ts'
import { errorBody, httpStatus } from '../../wire/error-map.ts'

/** When what is unavailable may be tried again where nobody knows better, in seconds: clients only retry if told. */
const unavailableRetryAfterS = 1

/** Every failure as `{code, message}` with the status of the one table; causes go to the log only. */
export function addErrors(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((thrown, request, reply) => answer(fromFramework(thrown), request, reply))
  app.setNotFoundHandler((request, reply) => {
    const message = `There is no ${request.method} ${request.url.split('?')[0]} here. docs/compat.md lists the operations.`
    reply.status(404).send(errorBody(404, message))
  })

  function answer(error: ServerError, request: FastifyRequest, reply: FastifyReply): void {
    const status = httpStatus(error)
    const { method, routeOptions } = request
    const what = { code: error.code, method, route: routeOptions.url }
    if (error.code === 'internal') log.error({ ...what, err: error }, 'a request failed')
    else if (status >= 500) log.debug({ ...what, reason: error.message }, 'a request could not be served')
    const retryAfterS = error.retryAfterS ?? (status === 503 ? unavailableRetryAfterS : undefined)
    if (retryAfterS !== undefined) reply.header('retry-after', retryAfterS)
    reply.status(status).send(errorBody(status, error.message))
  }
}

/** Fastify's own refusals (body too large, bad JSON, invalid against the schema) in our vocabulary. */
function fromFramework(thrown: unknown): ServerError {
  if (thrown instanceof ServerError) return thrown
  const { validation, validationContext, statusCode, message } = thrown as Partial<FastifyError>
  if (validation?.[0] !== undefined) {
    const { instancePath, message: rule, params, keyword } = validation[0]
    const field = instancePath.slice(1).replaceAll('/', '.') || String(params.missingProperty ?? '')
    const where = validationContext === 'querystring' ? 'query' : 'body'
    const subject =
      keyword === 'required' || field === '' ? `The request ${where}` : `'${field}' in the request ${where}`
    return new ServerError('invalid_argument', `${subject} ${rule}.`)
  }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new ServerError('invalid_argument', `${message}`, { cause: thrown })
  }
  return toError(thrown)
}
