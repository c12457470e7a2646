import { type ExpressionBuilder, type Kysely, sql } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { Snapshot, SnapshotFilter, SnapshotStore } from '../../domain/snapshot.ts'
import type { SnapshotRow, Tables } from '../schema.ts'
import { appendEvent } from './lifecycle-events.ts'

/** Kept copies of sandboxes. */
export function createSnapshotStore(db: Kysely<Tables>): SnapshotStore {
  return {
    async create(snapshot) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('snapshots')
        .values(toRow(snapshot))
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n) {
        throw new ServerError('conflict', `A snapshot with id '${snapshot.id}' exists already.`)
      }
    },

    async find(id) {
      const row = await db.selectFrom('snapshots').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toSnapshot(row)
    },

    async list(filter) {
      const { newestOfName = false, after, limit } = filter
      let query = db
        .selectFrom('snapshots')
        .selectAll()
        .where((where) => matches(where, filter))
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
      if (newestOfName) query = query.where('id', 'in', newestOfNames(db, filter))
      if (after !== undefined) {
        query = query.where((where) =>
          where(where.refTuple('created_at', 'id'), '<', where.tuple(after.createdAt, after.id)),
        )
      }
      if (limit !== undefined) query = query.limit(limit)
      return (await query.execute()).map(toSnapshot)
    },

    async complete(id, event) {
      await db.transaction().execute(async (transaction) => {
        const { numUpdatedRows } = await transaction
          .updateTable('snapshots')
          .set({ state: 'ready' })
          .where('id', '=', id)
          .executeTakeFirstOrThrow()
        if (numUpdatedRows !== 1n) throw new ServerError('not_found', `There is no snapshot with id '${id}'.`)
        if (event !== undefined) await appendEvent(transaction, event)
      })
    },

    async remove(id) {
      await db.deleteFrom('snapshots').where('id', '=', id).execute()
    },
  }
}

function matches(where: ExpressionBuilder<Tables, 'snapshots'>, filter: SnapshotFilter) {
  const { teamId, sandboxId, name, tag, state, internal } = filter
  const conditions = []
  if (teamId !== undefined) conditions.push(where('team_id', '=', teamId))
  if (sandboxId !== undefined) conditions.push(where('sandbox_id', '=', sandboxId))
  if (name !== undefined) conditions.push(where('name', '=', name))
  if (tag !== undefined) conditions.push(where('tag', '=', tag))
  if (state !== undefined) conditions.push(where('state', '=', state))
  if (internal !== undefined) conditions.push(where('internal', '=', Number(internal)))
  return where.and(conditions)
}

/** Ids of the newest of each name among those that match, and of all that have none. */
function newestOfNames(db: Kysely<Tables>, filter: SnapshotFilter) {
  const place = sql<number>`row_number() over (
    partition by team_id, name, case when name is null then id end
    order by created_at desc, id desc
  )`
  const ranked = db
    .selectFrom('snapshots')
    .select(['id', place.as('place')])
    .where((where) => matches(where, filter))
  return db.selectFrom(ranked.as('ranked')).select('ranked.id').where('ranked.place', '=', 1)
}

function toRow(snapshot: Snapshot): SnapshotRow {
  return {
    id: snapshot.id,
    team_id: snapshot.teamId,
    sandbox_id: snapshot.sandboxId,
    template_id: snapshot.templateId,
    name: snapshot.name,
    tag: snapshot.tag,
    internal: Number(snapshot.internal),
    state: snapshot.state,
    image: snapshot.image,
    runtime: snapshot.runtime,
    cpu_count: snapshot.cpuCount,
    memory_mb: snapshot.memoryMb,
    disk_mb: snapshot.diskMb,
    created_at: snapshot.createdAt,
  }
}

function toSnapshot(row: SnapshotRow): Snapshot {
  return {
    id: row.id,
    teamId: row.team_id,
    sandboxId: row.sandbox_id,
    templateId: row.template_id,
    name: row.name,
    tag: row.tag,
    internal: row.internal === 1,
    state: row.state,
    image: row.image,
    runtime: row.runtime,
    cpuCount: row.cpu_count,
    memoryMb: row.memory_mb,
    diskMb: row.disk_mb,
    createdAt: row.created_at,
  }
}
