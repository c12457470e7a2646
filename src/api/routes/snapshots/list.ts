import type { FastifyInstance } from 'fastify'
import { listSnapshots } from '../../../control/list-snapshots.ts'
import { decodeListToken, encodeListToken } from '../../../wire/list-token.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ListSnapshotsQuery } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { presentSnapshot } from '../../present/snapshot.ts'

/** GET /snapshots: newest first; `X-Next-Token` is there only when another page is. */
export function addListSnapshots(app: FastifyInstance, { control }: ApiParts): void {
  app.get<{ Querystring: ListSnapshotsQuery }>(
    '/snapshots',
    { schema: { querystring: schemaRef('ListSnapshotsQuery') } },
    async ({ query, teamId }, reply) => {
      const { snapshots, more } = await listSnapshots(control, {
        teamId,
        limit: query.limit,
        ...(query.sandboxID !== undefined && { sandboxId: query.sandboxID }),
        ...(query.name !== undefined && { name: query.name }),
        ...(query.nextToken !== undefined && { after: positionOf(query.nextToken) }),
      })
      const last = snapshots.at(-1)?.build
      if (more && last !== undefined) {
        reply.header('x-next-token', encodeListToken({ startedAt: last.createdAt, id: last.id }))
      }
      return snapshots.map(presentSnapshot)
    },
  )
}

/** Errors: `invalid_argument`. */
function positionOf(token: string) {
  const { startedAt, id } = decodeListToken(token)
  return { createdAt: startedAt, id }
}
