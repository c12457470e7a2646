import type { FastifyInstance } from 'fastify'
import { parseWireType, presentLifecycleEvent } from '../../../wire/lifecycle-event.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ApiParts } from '../../parts.ts'

interface EventsQuery {
  offset: number
  limit: number
  orderAsc: boolean
  /** With commas between them, or repeated */
  types?: string | string[]
}

/** GET /events/sandboxes and GET /events/sandboxes/{sandboxID}: the team's events, newest first unless asked otherwise. */
export function addListEvents(app: FastifyInstance, { control }: ApiParts): void {
  const list = async (teamId: string, sandboxId: string | undefined, query: EventsQuery) => {
    const { offset, limit, orderAsc, types } = query
    const events = await control.store.events.list({
      teamId,
      ...(sandboxId !== undefined && { sandboxId }),
      ...(types !== undefined && { types: [types].flat().join(',').split(',').map(parseWireType) }),
      order: orderAsc ? 'asc' : 'desc',
      limit: offset + limit,
    })
    return events.slice(offset).map(presentLifecycleEvent)
  }
  const schema = { querystring: schemaRef('EventsQuery') }
  app.get<{ Querystring: EventsQuery }>('/events/sandboxes', { schema }, ({ teamId, query }) =>
    list(teamId, undefined, query),
  )
  app.get<{ Querystring: EventsQuery; Params: { sandboxID: string } }>(
    '/events/sandboxes/:sandboxID',
    { schema },
    ({ teamId, params, query }) => list(teamId, params.sandboxID, query),
  )
}
