import type { Migration } from './migration.ts'

/** What the image of a layer is built on, so that it is known what removing one frees. */
export const layerParents: Migration = {
  version: 7,
  async up(db) {
    await db.schema.alterTable('template_layers').addColumn('parent', 'text').execute()
  },
}
