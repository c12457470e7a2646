import { randomUUID } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { Migration } from './migration.ts'

/** Templates have builds and tags; snapshots become builds; the cache of builds. */
export const templates: Migration = {
  version: 5,
  async up(db) {
    await createBuilds(db)
    await createCache(db)
    await extendTemplates(db)
    await extendSandboxes(db)
    await convertTemplates(db)
    await convertSnapshots(db)
  },
}

const noDefaults = '{"env":{},"user":null,"workdir":null,"startCmd":null,"readyCmd":null}'

async function createBuilds(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('template_builds')
    .addColumn('id', 'text', (column) => column.notNull().primaryKey())
    .addColumn('template_id', 'text', (column) =>
      column.notNull().references('templates.id').onDelete('cascade'),
    )
    .addColumn('team_id', 'text')
    .addColumn('status', 'text', (column) => column.notNull())
    .addColumn('image', 'text')
    .addColumn('runtime', 'text', (column) => column.notNull())
    .addColumn('cpu_count', 'double precision', (column) => column.notNull())
    .addColumn('memory_mb', 'double precision', (column) => column.notNull())
    .addColumn('disk_mb', 'double precision', (column) => column.notNull())
    .addColumn('defaults', 'text', (column) => column.notNull())
    .addColumn('origin_sandbox_id', 'text')
    .addColumn('origin_template_id', 'text')
    .addColumn('reason', 'text')
    .addColumn('created_at', 'double precision', (column) => column.notNull())
    .addColumn('started_at', 'double precision')
    .addColumn('finished_at', 'double precision')
    .execute()
  await index(db, 'template_builds', 'template', ['template_id', 'created_at', 'id'])
  await index(db, 'template_builds', 'team', ['team_id', 'created_at', 'id'])
  await index(db, 'template_builds', 'status', ['status'])
  await index(db, 'template_builds', 'image', ['image'])
  await db.schema
    .createTable('template_tags')
    .addColumn('template_id', 'text', (column) =>
      column.notNull().references('templates.id').onDelete('cascade'),
    )
    .addColumn('tag', 'text', (column) => column.notNull())
    .addColumn('build_id', 'text', (column) =>
      column.notNull().references('template_builds.id').onDelete('cascade'),
    )
    .addColumn('created_at', 'double precision', (column) => column.notNull())
    .addPrimaryKeyConstraint('template_tags_key', ['template_id', 'tag'])
    .execute()
  await index(db, 'template_tags', 'build', ['build_id'])
  await db.schema
    .createTable('template_build_logs')
    .addColumn('build_id', 'text', (column) =>
      column.notNull().references('template_builds.id').onDelete('cascade'),
    )
    .addColumn('entry_index', 'integer', (column) => column.notNull())
    .addColumn('at', 'double precision', (column) => column.notNull())
    .addColumn('level', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('step', 'text')
    .addPrimaryKeyConstraint('template_build_logs_key', ['build_id', 'entry_index'])
    .execute()
}

async function createCache(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('template_layers')
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('key', 'text', (column) => column.notNull())
    .addColumn('image', 'text', (column) => column.notNull())
    .addColumn('runtime', 'text', (column) => column.notNull())
    .addColumn('defaults', 'text', (column) => column.notNull())
    .addColumn('size_bytes', 'double precision', (column) => column.notNull())
    .addColumn('created_at', 'double precision', (column) => column.notNull())
    .addColumn('last_used_at', 'double precision', (column) => column.notNull())
    .addPrimaryKeyConstraint('template_layers_key', ['team_id', 'key'])
    .execute()
  await index(db, 'template_layers', 'use', ['last_used_at'])
  await db.schema
    .createTable('template_files')
    .addColumn('team_id', 'text', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('size_bytes', 'double precision', (column) => column.notNull())
    .addColumn('created_at', 'double precision', (column) => column.notNull())
    .addColumn('last_used_at', 'double precision', (column) => column.notNull())
    .addPrimaryKeyConstraint('template_files_key', ['team_id', 'hash'])
    .execute()
  await index(db, 'template_files', 'use', ['last_used_at'])
}

function index(db: Kysely<unknown>, table: string, by: string, columns: string[]): Promise<void> {
  return db.schema.createIndex(`${table}_by_${by}`).on(table).columns(columns).execute()
}

async function extendTemplates(db: Kysely<unknown>): Promise<void> {
  const add = (name: string, type: 'text' | 'integer' | 'double precision', value?: string | number) =>
    db.schema
      .alterTable('templates')
      .addColumn(name, type, (column) => (value === undefined ? column : column.notNull().defaultTo(value)))
      .execute()
  await add('is_public', 'integer', 0)
  await add('kind', 'text', 'template')
  await add('updated_at', 'double precision', 0)
  await add('last_spawned_at', 'double precision')
  await add('spawn_count', 'integer', 0)
  await sql`update templates set updated_at = created_at, is_public = (team_id is null)`.execute(db)
}

async function extendSandboxes(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('sandboxes').addColumn('build_id', 'text').execute()
  await db.schema
    .alterTable('sandboxes')
    .addColumn('defaults', 'text', (column) => column.notNull().defaultTo(noDefaults))
    .execute()
  await index(db, 'sandboxes', 'template', ['template_id'])
}

interface Source {
  id: string
  team_id: string | null
  image: string
  runtime: string
  cpu_count: number
  memory_mb: number
  disk_mb: number
  created_at: number
}

interface OldSnapshot extends Source {
  team_id: string
  sandbox_id: string
  template_id: string
  name: string | null
  tag: string
}

/** What templates said of their one image is said by a build of it. */
async function convertTemplates(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<Source>`select * from templates`.execute(db)
  for (const row of rows) {
    const buildId = await addBuild(db, { ...row, template_id: row.id }, null)
    await addTag(db, row.id, 'default', buildId, row.created_at)
    await sql`update sandboxes set build_id = ${buildId} where template_id = ${row.id}`.execute(db)
  }
  for (const column of ['image', 'runtime', 'cpu_count', 'memory_mb', 'disk_mb']) {
    await db.schema.alterTable('templates').dropColumn(column).execute()
  }
}

/**
 * A snapshot with a name is a build of the template of that name, one without has a template of its own. Those of forks, and
 * incomplete ones, are left out: nothing refers to their images then.
 */
async function convertSnapshots(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<OldSnapshot>`
    select * from snapshots where internal = 0 and state = 'ready' order by created_at desc, id desc`.execute(
    db,
  )
  const byName = new Map<string, string>()
  for (const row of rows) {
    const key = JSON.stringify([row.team_id, row.name ?? row.id, row.name === null])
    const templateId = byName.get(key) ?? row.id
    if (!byName.has(key)) {
      byName.set(key, templateId)
      await sql`insert into templates (id, team_id, created_at, is_public, kind, updated_at, spawn_count)
        values (${row.id}, ${row.team_id}, ${row.created_at}, 0, 'snapshot', ${row.created_at}, 0)`.execute(
        db,
      )
      if (row.name !== null) {
        await sql`insert into template_aliases (template_id, alias, position)
          values (${row.id}, ${row.name}, 0)`.execute(db)
      }
    }
    const origin = { sandboxId: row.sandbox_id, templateId: row.template_id }
    const buildId = await addBuild(db, { ...row, template_id: templateId }, origin)
    await addTag(db, templateId, row.tag, buildId, row.created_at)
    await sql`update sandboxes set template_id = ${templateId}, build_id = ${buildId}
      where template_id = ${row.id}`.execute(db)
  }
  await db.schema.dropTable('snapshots').execute()
}

async function addBuild(
  db: Kysely<unknown>,
  source: Source & { template_id: string },
  origin: { sandboxId: string; templateId: string } | null,
): Promise<string> {
  const id = randomUUID()
  await sql`insert into template_builds (id, template_id, team_id, status, image, runtime, cpu_count, memory_mb,
      disk_mb, defaults, origin_sandbox_id, origin_template_id, created_at, started_at, finished_at)
    values (${id}, ${source.template_id}, ${source.team_id}, 'ready', ${source.image}, ${source.runtime},
      ${source.cpu_count}, ${source.memory_mb}, ${source.disk_mb}, ${noDefaults}, ${origin?.sandboxId ?? null},
      ${origin?.templateId ?? null}, ${source.created_at}, ${source.created_at}, ${source.created_at})`.execute(
    db,
  )
  return id
}

/** The newest of a name comes first, and keeps the tag. */
async function addTag(
  db: Kysely<unknown>,
  templateId: string,
  tag: string,
  buildId: string,
  at: number,
): Promise<void> {
  await sql`insert into template_tags (template_id, tag, build_id, created_at)
    values (${templateId}, ${tag}, ${buildId}, ${at}) on conflict do nothing`.execute(db)
}
