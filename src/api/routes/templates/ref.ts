import type { FastifyRequest } from 'fastify'
import type { BuildRef } from '../../../control/templates/find.ts'

/** Route of a build. */
export interface BuildParams {
  Params: { templateID: string; buildID: string }
}

export function buildRef({
  teamId,
  params,
}: Pick<FastifyRequest<BuildParams>, 'teamId' | 'params'>): BuildRef {
  return { teamId, template: params.templateID, buildId: params.buildID }
}
