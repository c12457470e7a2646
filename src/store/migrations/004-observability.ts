import type { Kysely } from 'kysely'
import type { Migration } from './migration.ts'

/** What sandboxes use over time, what their processes say, and who is told of events. */
export const observability: Migration = {
  version: 4,
  async up(db) {
    await createMetrics(db)
    await createLogs(db)
    await createWebhooks(db)
  },
}

async function createMetrics(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('sandbox_metrics')
    .addColumn('sandbox_id', 'text', (column) => column.notNull())
    .addColumn('at', 'double precision', (column) => column.notNull())
    .addColumn('cpu_count', 'double precision', (column) => column.notNull())
    .addColumn('cpu_used_pct', 'double precision', (column) => column.notNull())
    .addColumn('mem_used', 'double precision', (column) => column.notNull())
    .addColumn('mem_total', 'double precision', (column) => column.notNull())
    .addColumn('mem_cache', 'double precision', (column) => column.notNull())
    .addColumn('disk_used', 'double precision', (column) => column.notNull())
    .addColumn('disk_total', 'double precision', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('sandbox_metrics_by_sandbox')
    .on('sandbox_metrics')
    .columns(['sandbox_id', 'at'])
    .execute()
  await db.schema.createIndex('sandbox_metrics_by_time').on('sandbox_metrics').column('at').execute()
}

async function createLogs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('sandbox_logs')
    .addColumn('sequence', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('sandbox_id', 'text', (column) => column.notNull())
    .addColumn('at', 'double precision', (column) => column.notNull())
    .addColumn('level', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('fields', 'text', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('sandbox_logs_by_sandbox')
    .on('sandbox_logs')
    .columns(['sandbox_id', 'at', 'sequence'])
    .execute()
  await db.schema.createIndex('sandbox_logs_by_time').on('sandbox_logs').column('at').execute()
}

async function createWebhooks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('webhooks')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('url', 'text', (column) => column.notNull())
    .addColumn('enabled', 'integer', (column) => column.notNull())
    .addColumn('events', 'text', (column) => column.notNull())
    .addColumn('secret', 'text', (column) => column.notNull())
    .addColumn('created_at', 'double precision', (column) => column.notNull())
    .addColumn('cursor', 'integer', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('not_before', 'double precision', (column) => column.notNull())
    .addColumn('last_error', 'text')
    .execute()
  await db.schema.createIndex('webhooks_by_team').on('webhooks').column('team_id').execute()
}
