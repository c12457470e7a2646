import type { FastifyInstance } from 'fastify'
import { listSandboxes } from '../../../control/list-sandboxes.ts'
import { decodeListToken, encodeListToken } from '../../../wire/list-token.ts'
import { parseMetadataFilter } from '../../../wire/metadata-filter.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ListSandboxesQuery } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { presentListedSandbox } from '../../present/sandbox.ts'

/** How many sandboxes an answer without pages reads at once. */
const batchSize = 1_000

/** GET /sandboxes, the first generation: the running ones, all of them. */
export function addListRunning(app: FastifyInstance, { control }: ApiParts): void {
  app.get<{ Querystring: Pick<ListSandboxesQuery, 'metadata'> }>(
    '/sandboxes',
    { schema: { querystring: schemaRef('ListRunningQuery') } },
    async ({ query, teamId }) => {
      const metadata = query.metadata === undefined ? {} : { metadata: parseMetadataFilter(query.metadata) }
      const wanted = { teamId, states: ['running'], limit: batchSize, ...metadata } as const
      let page = await listSandboxes(control, wanted)
      const listed = page.sandboxes.map(presentListedSandbox)
      for (let last = page.sandboxes.at(-1); page.more && last !== undefined; last = page.sandboxes.at(-1)) {
        page = await listSandboxes(control, { ...wanted, after: last })
        for (const sandbox of page.sandboxes) listed.push(presentListedSandbox(sandbox))
      }
      return listed
    },
  )
}

/**
 * GET /v2/sandboxes: `X-Next-Token` is there only when another page is (e2b-wire 8, gotcha 8), `X-Total-Running` when
 * running ones are asked for.
 */
export function addListSandboxes(app: FastifyInstance, { control }: ApiParts): void {
  app.get<{ Querystring: ListSandboxesQuery }>(
    '/v2/sandboxes',
    { schema: { querystring: schemaRef('ListQuery') } },
    async ({ query, teamId }, reply) => {
      const page = await listSandboxes(control, {
        teamId,
        states: statesOf(query.state),
        order: query.order,
        limit: query.limit,
        ...(query.metadata !== undefined && { metadata: parseMetadataFilter(query.metadata) }),
        ...(query.startedAfter !== undefined && { startedAfter: Date.parse(query.startedAfter) }),
        ...(query.template !== undefined && { template: query.template }),
        ...(query.nextToken !== undefined && { after: decodeListToken(query.nextToken) }),
      })
      if (page.runningCount !== undefined) reply.header('x-total-running', page.runningCount)
      const last = page.sandboxes.at(-1)
      if (page.more && last !== undefined) reply.header('x-next-token', encodeListToken(last))
      return page.sandboxes.map(presentListedSandbox)
    },
  )
}

/** Both states where none is named. The schema has checked the names. */
function statesOf(query: string | undefined): ('running' | 'paused')[] {
  if (query === undefined) return ['running', 'paused']
  return query.split(',').filter((state) => state === 'running' || state === 'paused')
}
