import { type Kysely, sql } from 'kysely'
import type { SandboxLogEntry, SandboxLogStore, StoredLogEntry } from '../../domain/sandbox-log.ts'
import type { SandboxLogRow, Tables } from '../schema.ts'
import { goneSandboxes } from './gone-sandboxes.ts'

/** What sandboxes' processes did and said. */
export function createSandboxLogStore(db: Kysely<Tables>): SandboxLogStore {
  return {
    async add(entries) {
      if (entries.length === 0) return
      await db.insertInto('sandbox_logs').values(entries.map(toRow)).execute()
    },

    async list({ teamId, sandboxId, from, to, levels, search, order = 'asc', limit }) {
      let query = db
        .selectFrom('sandbox_logs')
        .selectAll()
        .where('team_id', '=', teamId)
        .where('sandbox_id', '=', sandboxId)
        .orderBy('at', order)
        .orderBy('sequence', order)
        .limit(limit)
      if (from !== undefined) query = query.where('at', '>=', from)
      if (to !== undefined) query = query.where('at', '<=', to)
      if (levels !== undefined) query = query.where('level', 'in', levels)
      if (search !== undefined) query = query.where(sql<boolean>`instr(message, ${search}) > 0`)
      return (await query.execute()).map(toEntry)
    },

    async trim({ before, endedBefore }) {
      await db.deleteFrom('sandbox_logs').where('at', '<', before).execute()
      await db
        .deleteFrom('sandbox_logs')
        .where('sandbox_id', 'in', goneSandboxes('sandbox_logs'))
        .where('at', '<', endedBefore)
        // One that lived for long has old entries that its end makes no older.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('lifecycle_events')
                .select('lifecycle_events.id')
                .whereRef('lifecycle_events.sandbox_id', '=', 'sandbox_logs.sandbox_id')
                .where('lifecycle_events.type', '=', 'killed')
                .where('lifecycle_events.at', '>=', endedBefore),
            ),
          ),
        )
        .execute()
    },

    async trimSandbox(sandboxId, { entries, characters }) {
      await sql`delete from sandbox_logs where sandbox_id = ${sandboxId} and sequence <= (
        select max(sequence) from (
          select
            sequence,
            row_number() over (order by sequence desc) as place,
            sum(length(message) + length(fields)) over (order by sequence desc) as size
          from sandbox_logs where sandbox_id = ${sandboxId}
        ) as counted where place > ${entries} or size > ${characters}
      )`.execute(db)
    },
  }
}

function toRow(entry: StoredLogEntry): Omit<SandboxLogRow, 'sequence'> {
  return {
    team_id: entry.teamId,
    sandbox_id: entry.sandboxId,
    at: entry.at,
    level: entry.level,
    message: entry.message,
    fields: JSON.stringify(entry.fields),
  }
}

function toEntry(row: Pick<SandboxLogRow, 'at' | 'level' | 'message' | 'fields'>): SandboxLogEntry {
  return { at: row.at, level: row.level, message: row.message, fields: JSON.parse(row.fields) }
}
