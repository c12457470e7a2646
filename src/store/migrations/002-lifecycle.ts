import { type Kysely, sql } from 'kysely'
import type { Migration } from './migration.ts'

/** Pausing, snapshots, and the log of what happened. */
export const lifecycle: Migration = {
  version: 2,
  async up(db) {
    await extendSandboxes(db)
    await createSnapshots(db)
    await createEvents(db)
  },
}

async function extendSandboxes(db: Kysely<unknown>): Promise<void> {
  const add = (name: string, type: 'text' | 'integer' | 'double precision', value?: string | number) =>
    db.schema
      .alterTable('sandboxes')
      .addColumn(name, type, (column) => (value === undefined ? column : column.notNull().defaultTo(value)))
      .execute()
  await add('timeout_s', 'double precision', 300)
  await add('on_timeout', 'text', 'kill')
  await add('auto_pause_memory', 'integer', 1)
  await add('auto_resume', 'integer', 0)
  await add('paused_with_memory', 'integer')
  await add('traffic_access_token', 'text')
  await add('network', 'text')
  await add('end_reason', 'text')
  await add('idempotency_key', 'text')
  await add('idempotency_hash', 'text')
  await db.schema
    .createIndex('sandboxes_by_idempotency_key')
    .on('sandboxes')
    .columns(['team_id', 'idempotency_key'])
    .unique()
    .execute()
  await db.schema.createIndex('sandboxes_by_image').on('sandboxes').column('image').execute()
}

async function createSnapshots(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('snapshots')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('sandbox_id', 'text', (column) => column.notNull())
    .addColumn('template_id', 'text', (column) => column.notNull())
    .addColumn('name', 'text')
    .addColumn('tag', 'text', (column) => column.notNull())
    .addColumn('internal', 'integer', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('image', 'text', (column) => column.notNull())
    .addColumn('runtime', 'text', (column) => column.notNull())
    .addColumn('cpu_count', 'double precision', (column) => column.notNull())
    .addColumn('memory_mb', 'double precision', (column) => column.notNull())
    .addColumn('disk_mb', 'double precision', (column) => column.notNull())
    .addColumn('created_at', 'double precision', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('snapshots_by_team')
    .on('snapshots')
    .columns(['team_id', 'created_at', 'id'])
    .execute()
}

async function createEvents(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('lifecycle_events')
    .addColumn('sequence', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('sandbox_id', 'text', (column) => column.notNull())
    .addColumn('template_id', 'text', (column) => column.notNull())
    .addColumn('type', 'text', (column) => column.notNull())
    .addColumn('at', 'double precision', (column) => column.notNull())
    .addColumn('reason', 'text')
    .addColumn('detail', 'text', (column) => column.notNull().defaultTo(sql`'{}'`))
    .execute()
  await db.schema
    .createIndex('lifecycle_events_by_sandbox')
    .on('lifecycle_events')
    .columns(['sandbox_id', 'sequence'])
    .execute()
  await db.schema
    .createIndex('lifecycle_events_by_team')
    .on('lifecycle_events')
    .columns(['team_id', 'sequence'])
    .execute()
  await db.schema.createIndex('lifecycle_events_by_time').on('lifecycle_events').column('at').execute()
}
