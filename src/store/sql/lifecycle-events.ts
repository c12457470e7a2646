import { randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import type {
  LifecycleEvent,
  LifecycleEventStore,
  LifecycleEventType,
  NewLifecycleEvent,
} from '../../domain/lifecycle-event.ts'
import type { LifecycleEventRow, Tables } from '../schema.ts'

/** The log of what happened to sandboxes. */
export function createLifecycleEventStore(db: Kysely<Tables>): LifecycleEventStore {
  return {
    async list(filter) {
      const {
        teamId,
        sandboxId,
        types,
        afterSequence,
        beforeSequence,
        from,
        to,
        order = 'asc',
        limit,
      } = filter
      let query = db.selectFrom('lifecycle_events').selectAll().orderBy('sequence', order).limit(limit)
      if (teamId !== undefined) query = query.where('team_id', '=', teamId)
      if (sandboxId !== undefined) query = query.where('sandbox_id', '=', sandboxId)
      if (types !== undefined) query = query.where('type', 'in', types)
      if (afterSequence !== undefined) query = query.where('sequence', '>', afterSequence)
      if (beforeSequence !== undefined) query = query.where('sequence', '<', beforeSequence)
      if (from !== undefined) query = query.where('at', '>=', from)
      if (to !== undefined) query = query.where('at', '<=', to)
      return (await query.execute()).map(toEvent)
    },

    async removeBefore(at) {
      const { numDeletedRows } = await db
        .deleteFrom('lifecycle_events')
        .where('at', '<', at)
        .executeTakeFirstOrThrow()
      return Number(numDeletedRows)
    },
  }
}

/** Writes an event as a part of `db`'s transaction. */
export async function appendEvent(db: Kysely<Tables>, event: NewLifecycleEvent): Promise<void> {
  await db
    .insertInto('lifecycle_events')
    .values({
      id: randomUUID(),
      team_id: event.teamId,
      sandbox_id: event.sandboxId,
      template_id: event.templateId,
      type: event.type,
      at: event.at,
      reason: event.reason,
      detail: JSON.stringify(event.detail),
    })
    .execute()
}

function toEvent(row: Omit<LifecycleEventRow, 'sequence'> & { sequence: number }): LifecycleEvent {
  return {
    id: row.id,
    sequence: row.sequence,
    teamId: row.team_id,
    sandboxId: row.sandbox_id,
    templateId: row.template_id,
    type: row.type as LifecycleEventType,
    at: row.at,
    reason: row.reason,
    detail: JSON.parse(row.detail),
  }
}
