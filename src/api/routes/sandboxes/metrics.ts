import type { FastifyInstance } from 'fastify'
import { latestMetrics, sandboxMetrics } from '../../../control/sandbox-metrics.ts'
import { ServerError } from '../../../domain/error.ts'
import type { SandboxMetrics } from '../../../domain/sandbox-metrics.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ApiParts } from '../../parts.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** Most sandboxes of one question. */
const idsMax = 100

/** GET /sandboxes/{sandboxID}/metrics, with `start` and `end` in Unix seconds, and GET /sandboxes/metrics (e2b-wire 2.1). */
export function addSandboxMetrics(app: FastifyInstance, { control }: ApiParts): void {
  app.get<SandboxParams & { Querystring: { start?: number; end?: number } }>(
    '/sandboxes/:sandboxID/metrics',
    { schema: { querystring: schemaRef('MetricsQuery') } },
    async (request) => {
      const { start, end } = request.query
      const samples = await sandboxMetrics(control, sandboxRef(request), {
        from: start && start * 1000,
        // The whole of the last second.
        to: end && end * 1000 + 999,
      })
      return samples.map(present)
    },
  )

  app.get<{ Querystring: { sandbox_ids: string } }>(
    '/sandboxes/metrics',
    { schema: { querystring: schemaRef('BatchMetricsQuery') } },
    async ({ query, teamId }) => {
      const ids = [...new Set(query.sandbox_ids.split(',').filter(Boolean))]
      if (ids.length === 0 || ids.length > idsMax) {
        throw new ServerError(
          'invalid_argument',
          `'sandbox_ids' must have 1 to ${idsMax} ids, with commas between them.`,
        )
      }
      const samples = await latestMetrics(control, { teamId, ids })
      return { sandboxes: Object.fromEntries(samples.map((sample) => [sample.sandboxId, present(sample)])) }
    },
  )
}

function present({ sandboxId: _, at, ...figures }: SandboxMetrics) {
  return { timestamp: new Date(at).toISOString(), timestampUnix: Math.floor(at / 1000), ...figures }
}
