import type { FastifyInstance, FastifyRequest } from 'fastify'
import { linkFiles } from '../../../control/templates/files.ts'
import { type TemplateFilesBody, uploadPath } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'

/** GET /templates/{templateID}/files/{hash}: whether files are here, and where to upload them (e2b-wire 4.1). */
export function addTemplateFiles(app: FastifyInstance, { control }: ApiParts): void {
  app.get<{ Params: { templateID: string; hash: string } }>(
    '/templates/:templateID/files/:hash',
    async (request, reply) => {
      const { templateID: template, hash } = request.params
      const { isPresent, link } = await linkFiles(control, { teamId: request.teamId, template, hash })
      const answer: TemplateFilesBody = {
        present: isPresent,
        url: `${baseUrlOf(request)}${uploadPath}${link}`,
      }
      return reply.status(201).send(answer)
    },
  )
}

/**
 * Where the client sees the API: as it has asked, or as a proxy in front says that it has. It can but mislead itself.
 */
function baseUrlOf({ headers }: FastifyRequest): string {
  const first = (name: string) =>
    String(headers[name] ?? '')
      .split(',')[0]
      ?.trim() ?? ''
  const host = [first('x-forwarded-host'), first('host')].find((each) => /^[\w.:[\]-]{1,256}$/.test(each))
  const prefix = first('x-forwarded-prefix').replace(/\/+$/, '')
  const protocol = first('x-forwarded-proto') === 'https' ? 'https' : 'http'
  return `${protocol}://${host ?? 'localhost'}${/^(\/[\w.~-]+)+$/.test(prefix) ? prefix : ''}`
}
