import type { Migration } from './migration.ts'

/** Guests that were started ahead of their sandbox. */
export const warmGuests: Migration = {
  version: 9,
  async up(db) {
    await db.schema
      .createTable('warm_guests')
      .addColumn('id', 'text', (column) => column.notNull().primaryKey())
      .execute()
  },
}
