import type { FastifyInstance } from 'fastify'
import { parseLevel } from '../../../control/sandbox-logs.ts'
import { buildLogs, buildStatus } from '../../../control/templates/build-logs.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { BuildLogsQuery, BuildStatusQuery } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { presentBuildInfo, presentBuildLogEntry } from '../../present/template.ts'
import { type BuildParams, buildRef } from './ref.ts'

/** GET /templates/{templateID}/builds/{buildID}/status, which clients poll, and …/logs (e2b-wire 2.2, 4.1). */
export function addBuildStatus(app: FastifyInstance, { control }: ApiParts): void {
  app.get<BuildParams & { Querystring: BuildStatusQuery }>(
    '/templates/:templateID/builds/:buildID/status',
    { schema: { querystring: schemaRef('BuildStatusQuery') } },
    async (request) => {
      const { logsOffset, limit, level } = request.query
      const asked = { ...buildRef(request), logsOffset, limit, level: parseLevel(level) }
      return presentBuildInfo(await buildStatus(control, asked))
    },
  )

  app.get<BuildParams & { Querystring: BuildLogsQuery }>(
    '/templates/:templateID/builds/:buildID/logs',
    { schema: { querystring: schemaRef('BuildLogsQuery') } },
    async (request) => {
      const { cursor, limit, direction, level } = request.query
      const minLevel = parseLevel(level)
      const entries = await buildLogs(control, {
        ...buildRef(request),
        limit,
        order: direction === 'forward' ? 'asc' : 'desc',
        ...(cursor !== undefined && { cursor }),
        ...(minLevel !== undefined && { minLevel }),
      })
      return { logs: entries.map(presentBuildLogEntry) }
    },
  )
}
