import { randomUUID } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { Migration } from './migration.ts'

/** Teams with names of their own and limits, keys that say when they were used, figures of teams, states of nodes. */
export const tenancy: Migration = {
  version: 3,
  async up(db) {
    await extendTeams(db)
    await extendKeys(db)
    await createSamples(db)
    await db.schema
      .createTable('node_status')
      .addColumn('node_id', 'text', (column) => column.notNull().primaryKey())
      .addColumn('status', 'text', (column) => column.notNull())
      .execute()
  },
}

/** Where teams are referred to by `team_id`. */
const ownedTables = ['api_keys', 'templates', 'sandboxes', 'snapshots', 'lifecycle_events']

async function extendTeams(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('teams')
    .addColumn('slug', 'text', (column) => column.notNull().defaultTo(''))
    .execute()
  await db.schema
    .alterTable('teams')
    .addColumn('created_at', 'double precision', (column) => column.notNull().defaultTo(0))
    .execute()
  await db.schema
    .alterTable('teams')
    .addColumn('limits', 'text', (column) => column.notNull().defaultTo('{}'))
    .execute()
  // A team is as old as its first key; the first team is the one whose names need no other namespace.
  await sql`update teams set created_at =
    coalesce((select min(created_at) from api_keys where api_keys.team_id = teams.id), 0)`.execute(db)
  await sql`update teams set slug = case
    when position = (select min(position) from teams) then 'default' else 'team-' || position end`.execute(db)
  await db.schema.createIndex('teams_by_slug').on('teams').column('slug').unique().execute()
  for (const old of await idsOf(db, 'teams')) {
    const id = randomUUID()
    await sql`update teams set id = ${id} where id = ${old}`.execute(db)
    for (const table of ownedTables) {
      await sql`update ${sql.table(table)} set team_id = ${id} where team_id = ${old}`.execute(db)
    }
  }
}

async function extendKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('api_keys').addColumn('last_used_at', 'double precision').execute()
  for (const old of await idsOf(db, 'api_keys')) {
    await sql`update api_keys set id = ${randomUUID()} where id = ${old}`.execute(db)
  }
}

/** All ids of a table: before this step none is a UUID, which is what clients take them for. */
async function idsOf(db: Kysely<unknown>, table: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select id from ${sql.table(table)}`.execute(db)
  return rows.map(({ id }) => id)
}

async function createSamples(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('team_samples')
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('at', 'double precision', (column) => column.notNull())
    .addColumn('running_sandboxes', 'integer', (column) => column.notNull())
    .addColumn('starts_per_second', 'double precision', (column) => column.notNull())
    .execute()
  await db.schema.createIndex('team_samples_by_time').on('team_samples').columns(['team_id', 'at']).execute()
  await db.schema.createIndex('team_samples_by_age').on('team_samples').column('at').execute()
}
