import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { toError } from '../../../domain/error.ts'
import { errorBody } from '../../../wire/error-map.ts'
import { uploadPath, uploadTimeoutMs } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'

/**
 * PUT /template-files/{link}: the archive of a COPY step, without a key: who has the link may use it, once. The body is
 * streamed, and its type means nothing.
 */
export function addUploadFiles(app: FastifyInstance, { control }: ApiParts): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, body, done) => done(null, body))
    scope.put<{ Params: { link: string } }>(`${uploadPath}:link`, async (request, reply) => {
      const sizeBytes = lengthOf(request)
      if (sizeBytes === undefined) return refuse(reply, 411, 'An upload needs a Content-Length.')
      const { archives } = control
      if (sizeBytes > archives.maxBytes) {
        const mib = Math.floor(archives.maxBytes / 2 ** 20)
        return refuse(reply, 413, `The files of one step may have at most ${mib} MiB as an archive.`)
      }
      // A body of no bytes isn't handed over; what is left of the request then is its end.
      const body = (request.body as Readable | undefined) ?? request.raw
      const signal = requestSignal(reply, uploadTimeoutMs)
      try {
        await archives.receive(request.params.link, { body, sizeBytes }, signal)
      } catch (error) {
        sayInStatusLine(reply, toError(error).message)
        throw error
      }
      return reply.status(200).send()
    })
  })
}

function lengthOf({ headers }: FastifyRequest): number | undefined {
  const length = headers['content-length']
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined
}

function refuse(reply: FastifyReply, status: number, message: string): FastifyReply {
  sayInStatusLine(reply, message)
  return reply.status(status).send(errorBody(status, message))
}

/** E2B's clients show nothing else of an answer to an upload. */
function sayInStatusLine(reply: FastifyReply, message: string): void {
  if (/^[\x20-\x7e]{1,500}$/.test(message)) reply.raw.statusMessage = message
}
