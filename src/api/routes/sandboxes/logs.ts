import type { FastifyInstance } from 'fastify'
import { parseLevel, sandboxLogs } from '../../../control/sandbox-logs.ts'
import type { SandboxLogEntry } from '../../../domain/sandbox-log.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ApiParts } from '../../parts.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

interface LogsQuery {
  cursor?: number
  limit: number
  direction: 'forward' | 'backward'
  level?: string
  search?: string
}

/** GET /sandboxes/{sandboxID}/logs, whose lines are JSON in text, and GET /v2/sandboxes/{sandboxID}/logs (e2b-wire 2.1). */
export function addSandboxLogs(app: FastifyInstance, { control }: ApiParts): void {
  app.get<SandboxParams & { Querystring: { start?: number; limit: number } }>(
    '/sandboxes/:sandboxID/logs',
    { schema: { querystring: schemaRef('LogsQueryV1') } },
    async (request) => {
      const { start: cursor, limit } = request.query
      const entries = await sandboxLogs(control, sandboxRef(request), { cursor, limit, direction: 'forward' })
      return { logs: entries.map(presentLine), logEntries: entries.map(presentEntry) }
    },
  )

  app.get<SandboxParams & { Querystring: LogsQuery }>(
    '/v2/sandboxes/:sandboxID/logs',
    { schema: { querystring: schemaRef('LogsQuery') } },
    async (request) => {
      const { level, ...query } = request.query
      const entries = await sandboxLogs(control, sandboxRef(request), { ...query, level: parseLevel(level) })
      return { logs: entries.map(presentEntry) }
    },
  )
}

function presentEntry({ at, message, level, fields }: SandboxLogEntry) {
  return { timestamp: new Date(at).toISOString(), message, level, fields }
}

function presentLine({ at, message, level, fields }: SandboxLogEntry) {
  const timestamp = new Date(at).toISOString()
  return { timestamp, line: JSON.stringify({ timestamp, level, message, ...fields }) }
}
