import type { Kysely } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { ApiKey, ApiKeyStore } from '../../domain/team.ts'
import type { ApiKeyRow, Tables } from '../schema.ts'
import { compiledOnce } from './compiled-once.ts'

/** Keys by their hash; the keys themselves are never here. */
export function createApiKeyStore(db: Kysely<Tables>): ApiKeyStore {
  const byHash = compiledOnce(db, (hash) => db.selectFrom('api_keys').selectAll().where('hash', '=', hash))

  return {
    async findByHash(hash) {
      const [row] = await byHash(hash)
      return row && toApiKey(row)
    },

    async find(id) {
      const row = await db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toApiKey(row)
    },

    async list(teamId) {
      const rows = await db
        .selectFrom('api_keys')
        .selectAll()
        .where('team_id', '=', teamId)
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(toApiKey)
    },

    async create(key) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('api_keys')
        .values({
          id: key.id,
          team_id: key.teamId,
          name: key.name,
          hash: key.hash,
          mask: key.mask,
          created_at: key.createdAt,
          last_used_at: key.lastUsedAt,
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n) throw new ServerError('conflict', 'This API key exists already.')
    },

    async rename(id, name) {
      const { numUpdatedRows } = await db
        .updateTable('api_keys')
        .set({ name })
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      if (numUpdatedRows !== 1n) throw notFound(id)
    },

    async touch(id, at) {
      await db.updateTable('api_keys').set({ last_used_at: at }).where('id', '=', id).execute()
    },

    async remove(id) {
      const { numDeletedRows } = await db
        .deleteFrom('api_keys')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      if (numDeletedRows !== 1n) throw notFound(id)
    },
  }
}

function notFound(id: string): ServerError {
  return new ServerError('not_found', `There is no API key with id '${id}'.`)
}

function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    id: row.id,
    teamId: row.team_id,
    name: row.name,
    hash: row.hash,
    mask: row.mask,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }
}
