import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ServerError, toError } from '../../domain/error.ts'
import type { Log } from '../../lib/log.ts'
import { corsHeaders } from '../../wire/cors.ts'
import { errorBody, httpStatus, restErrorBody } from '../../wire/error-map.ts'
import { violationSentence } from './violation.ts'

/** Longest JSON body, in bytes. */
export const bodyMaxBytes = 1024 * 1024

/** When what is busy may be tried again where nobody knows better, in seconds: clients only retry if told. */
const busyRetryAfterS = 1
const busyStatuses = [429, 503]

/** Fastify's answer to a URL that can't be decoded, which no hook and no error handler sees. */
export function badUrl(_error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(corsHeaders(request))
  reply.status(400).send(errorBody(400, 'The path is not a valid URL: write a % in it as %25.'))
}

/** Every failure as `{code, message, error_code?}` with the status of the one table; causes go to the log only. */
export function addErrors(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((thrown, request, reply) => answer(fromFramework(thrown), request, reply))
  app.setNotFoundHandler((request, reply) => {
    request.failure = 'not_found'
    const message = `There is no ${request.method} ${request.url.split('?')[0]} here. docs/compat.md lists the operations.`
    reply.status(404).send(errorBody(404, message))
  })

  function answer(error: ServerError, request: FastifyRequest, reply: FastifyReply): void {
    const status = httpStatus(error)
    request.failure = error.code
    const { method, routeOptions } = request
    const what = { code: error.code, method, route: routeOptions.url }
    if (error.code === 'internal') log.error({ ...what, err: error }, 'a request failed')
    else if (status >= 500) log.debug({ ...what, reason: error.message }, 'a request could not be served')
    const retryAfterS = error.retryAfterS ?? (busyStatuses.includes(status) ? busyRetryAfterS : undefined)
    if (retryAfterS !== undefined) reply.header('retry-after', retryAfterS)
    if (error.rateLimit !== undefined) {
      const { limit, remaining, resetS } = error.rateLimit
      reply.headers({ 'ratelimit-limit': limit, 'ratelimit-remaining': remaining, 'ratelimit-reset': resetS })
    }
    reply.status(status).send(restErrorBody(error))
  }
}

/** What Fastify refuses by itself, by its code. */
const sentences: Record<string, string> = {
  FST_ERR_CTP_BODY_TOO_LARGE: `The request body is longer than ${bodyMaxBytes / 1024} KiB.`,
  FST_ERR_CTP_INVALID_MEDIA_TYPE:
    'The request body must be JSON: send it with Content-Type: application/json.',
}

/** Fastify's own refusals (body too large, bad JSON, invalid against the schema) in our vocabulary. */
function fromFramework(thrown: unknown): ServerError {
  if (thrown instanceof ServerError) return thrown
  const { validation, validationContext, statusCode, code, message } = thrown as Partial<FastifyError>
  if (validation?.[0] !== undefined) {
    const where = validationContext === 'querystring' ? 'query' : 'body'
    return new ServerError('invalid_argument', violationSentence(validation[0], where))
  }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    const sentence = (code !== undefined && sentences[code]) || `${message}`
    return new ServerError('invalid_argument', sentence, { cause: thrown })
  }
  return toError(thrown)
}
