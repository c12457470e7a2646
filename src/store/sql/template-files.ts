import type { Kysely } from 'kysely'
import type { TemplateFile, TemplateFileStore } from '../../domain/template-layer.ts'
import type { Tables, TemplateFileRow } from '../schema.ts'

/** Which archives there are for COPY steps. */
export function createTemplateFileStore(db: Kysely<Tables>): TemplateFileStore {
  return {
    async find(teamId, hash) {
      const row = await db
        .selectFrom('template_files')
        .selectAll()
        .where('team_id', '=', teamId)
        .where('hash', '=', hash)
        .executeTakeFirst()
      return row && toFile(row)
    },

    async put(file) {
      const values = toRow(file)
      await db
        .insertInto('template_files')
        .values(values)
        .onConflict((conflict) => conflict.columns(['team_id', 'hash']).doUpdateSet(values))
        .execute()
    },

    async touch(teamId, hash, at) {
      await db
        .updateTable('template_files')
        .set({ last_used_at: at })
        .where('team_id', '=', teamId)
        .where('hash', '=', hash)
        .execute()
    },

    async list({ teamId, limit }) {
      let query = db.selectFrom('template_files').selectAll().orderBy('last_used_at').orderBy('hash')
      if (teamId !== undefined) query = query.where('team_id', '=', teamId)
      if (limit !== undefined) query = query.limit(limit)
      return (await query.execute()).map(toFile)
    },

    async usage(teamId) {
      const { bytes } = await db
        .selectFrom('template_files')
        .select(({ fn }) => fn.sum<number>('size_bytes').as('bytes'))
        .where('team_id', '=', teamId)
        .executeTakeFirstOrThrow()
      return Number(bytes ?? 0)
    },

    async remove(teamId, hash) {
      await db.deleteFrom('template_files').where('team_id', '=', teamId).where('hash', '=', hash).execute()
    },
  }
}

function toRow(file: TemplateFile): TemplateFileRow {
  return {
    team_id: file.teamId,
    hash: file.hash,
    size_bytes: file.sizeBytes,
    created_at: file.createdAt,
    last_used_at: file.lastUsedAt,
  }
}

function toFile(row: TemplateFileRow): TemplateFile {
  return {
    teamId: row.team_id,
    hash: row.hash,
    sizeBytes: row.size_bytes,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }
}
