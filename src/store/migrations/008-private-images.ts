import type { Migration } from './migration.ts'

/** Images that were fetched with credentials, so that a crash leaves none to others. */
export const privateImages: Migration = {
  version: 8,
  async up(db) {
    await db.schema
      .createTable('private_images')
      .addColumn('image', 'text', (column) => column.notNull().primaryKey())
      .addColumn('image_id', 'text')
      .execute()
  },
}
