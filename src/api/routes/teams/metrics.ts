import type { FastifyInstance } from 'fastify'
import { teamNotFound } from '../../../control/find-team.ts'
import { type TeamMetricsRequest, teamMetrics, teamMetricsMax } from '../../../control/team-metrics.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { MaxTeamMetricQuery, TeamMetricsQuery } from '../../../wire/team.ts'
import type { ApiParts } from '../../parts.ts'
import { presentMaxTeamMetric, presentTeamMetric } from '../../present/team-metric.ts'

interface TeamParams {
  teamID: string
}

/** GET /teams/{teamID}/metrics and /teams/{teamID}/metrics/max, of the asker's own team. */
export function addTeamMetrics(app: FastifyInstance, { control }: ApiParts): void {
  app.get<{ Params: TeamParams; Querystring: TeamMetricsQuery }>(
    '/teams/:teamID/metrics',
    { schema: { querystring: schemaRef('TeamMetricsQuery') } },
    async ({ teamId, params, query }) => {
      const samples = await teamMetrics(control, requestOf(teamId, params, query))
      return samples.map(presentTeamMetric)
    },
  )
  app.get<{ Params: TeamParams; Querystring: MaxTeamMetricQuery }>(
    '/teams/:teamID/metrics/max',
    { schema: { querystring: schemaRef('MaxTeamMetricQuery') } },
    async ({ teamId, params, query }) => {
      const { metric } = query
      const figure = metric === 'concurrent_sandboxes' ? 'runningSandboxes' : 'startsPerSecond'
      const sample = await teamMetricsMax(control, { ...requestOf(teamId, params, query), figure })
      return presentMaxTeamMetric(sample, metric)
    },
  )
}

/** `end` names a whole second, all of which is meant. */
function requestOf(teamId: string, { teamID }: TeamParams, query: TeamMetricsQuery): TeamMetricsRequest {
  if (teamID !== teamId) throw teamNotFound(teamID)
  return {
    teamId,
    ...(query.start !== undefined && { from: query.start * 1000 }),
    ...(query.end !== undefined && { to: query.end * 1000 + 999.999 }),
  }
}
