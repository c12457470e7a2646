import type { Kysely } from 'kysely'
import type { Layer, LayerStore } from '../../domain/template-layer.ts'
import type { Tables, TemplateLayerRow } from '../schema.ts'

/** What steps of builds left behind, by what they were made from. */
export function createLayerStore(db: Kysely<Tables>): LayerStore {
  return {
    async find(teamId, key) {
      const row = await db
        .selectFrom('template_layers')
        .selectAll()
        .where('team_id', '=', teamId)
        .where('key', '=', key)
        .executeTakeFirst()
      return row && toLayer(row)
    },

    async put(layer) {
      const values = toRow(layer)
      await db
        .insertInto('template_layers')
        .values(values)
        .onConflict((conflict) => conflict.columns(['team_id', 'key']).doUpdateSet(values))
        .execute()
    },

    async touch(teamId, key, at) {
      await db
        .updateTable('template_layers')
        .set({ last_used_at: at })
        .where('team_id', '=', teamId)
        .where('key', '=', key)
        .execute()
    },

    async list({ teamId, image, limit }) {
      let query = db.selectFrom('template_layers').selectAll().orderBy('last_used_at').orderBy('key')
      if (teamId !== undefined) query = query.where('team_id', '=', teamId)
      if (image !== undefined) query = query.where('image', '=', image)
      if (limit !== undefined) query = query.limit(limit)
      return (await query.execute()).map(toLayer)
    },

    async remove(teamId, key) {
      await db.deleteFrom('template_layers').where('team_id', '=', teamId).where('key', '=', key).execute()
    },
  }
}

function toRow(layer: Layer): TemplateLayerRow {
  return {
    team_id: layer.teamId,
    key: layer.key,
    image: layer.image,
    runtime: layer.runtime,
    defaults: JSON.stringify(layer.defaults),
    parent: layer.parent,
    size_bytes: layer.sizeBytes,
    created_at: layer.createdAt,
    last_used_at: layer.lastUsedAt,
  }
}

function toLayer(row: TemplateLayerRow): Layer {
  return {
    teamId: row.team_id,
    key: row.key,
    image: row.image,
    runtime: row.runtime,
    defaults: JSON.parse(row.defaults),
    parent: row.parent,
    sizeBytes: row.size_bytes,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
  }
}
