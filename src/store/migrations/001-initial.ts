import type { Kysely } from 'kysely'
import type { Migration } from './migration.ts'

/** Teams, their keys, templates and sandboxes. */
export const initial: Migration = {
  version: 1,
  async up(db) {
    await createTeams(db)
    await createTemplates(db)
    await createSandboxes(db)
  },
}

async function createTeams(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('teams')
    .addColumn('position', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('id', 'text', (column) => column.notNull().unique())
    .addColumn('name', 'text', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('api_keys')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull().unique())
    .addColumn('mask', 'text', (column) => column.notNull())
    .addColumn('created_at', 'double precision', (column) => column.notNull())
    .execute()
  await db.schema.createIndex('api_keys_by_team').on('api_keys').columns(['team_id', 'created_at']).execute()
}

async function createTemplates(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('templates')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('team_id', 'text')
    .addColumn('image', 'text', (column) => column.notNull())
    .addColumn('runtime', 'text', (column) => column.notNull())
    .addColumn('cpu_count', 'double precision', (column) => column.notNull())
    .addColumn('memory_mb', 'double precision', (column) => column.notNull())
    .addColumn('disk_mb', 'double precision', (column) => column.notNull())
    .addColumn('created_at', 'double precision', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('template_aliases')
    .addColumn('template_id', 'text', (column) =>
      column.notNull().references('templates.id').onDelete('cascade'),
    )
    .addColumn('alias', 'text', (column) => column.notNull())
    .addColumn('position', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('template_aliases_key', ['alias', 'template_id'])
    .execute()
  await db.schema
    .createIndex('template_aliases_by_template')
    .on('template_aliases')
    .column('template_id')
    .execute()
}

async function createSandboxes(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('sandboxes')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('template_id', 'text', (column) => column.notNull())
    .addColumn('alias', 'text')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('started_at', 'double precision', (column) => column.notNull())
    .addColumn('end_at', 'double precision', (column) => column.notNull())
    .addColumn('cpu_count', 'double precision', (column) => column.notNull())
    .addColumn('memory_mb', 'double precision', (column) => column.notNull())
    .addColumn('disk_mb', 'double precision', (column) => column.notNull())
    .addColumn('metadata', 'text', (column) => column.notNull())
    .addColumn('env_vars', 'text', (column) => column.notNull())
    .addColumn('envd_access_token', 'text')
    .addColumn('allow_internet_access', 'integer')
    .addColumn('runtime', 'text', (column) => column.notNull())
    .addColumn('image', 'text', (column) => column.notNull())
    .addColumn('handle', 'text')
    .execute()
  await db.schema
    .createIndex('sandboxes_by_start')
    .on('sandboxes')
    .columns(['team_id', 'started_at', 'id'])
    .execute()
  await db.schema.createIndex('sandboxes_by_end').on('sandboxes').columns(['state', 'end_at']).execute()
}
