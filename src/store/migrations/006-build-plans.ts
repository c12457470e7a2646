import type { Migration } from './migration.ts'

/** What was asked for when a build was made, for when it is started. */
export const buildPlans: Migration = {
  version: 6,
  async up(db) {
    await db.schema
      .createTable('template_build_plans')
      .addColumn('build_id', 'text', (column) =>
        column.notNull().primaryKey().references('template_builds.id').onDelete('cascade'),
      )
      .addColumn('plan', 'text', (column) => column.notNull())
      .execute()
  },
}
