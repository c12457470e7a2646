import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { expect, test } from 'vitest'
import { createGroupSync } from '../group-sync.ts'
import { migrate, migrations } from '../migrate.ts'
import type { Tables } from '../schema.ts'
import { createSqlStore } from '../sql-store.ts'

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

test('a server’s first team and its keys keep what is theirs, under ids that clients expect', async () => {
  const database = new Database(':memory:')
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
  await migrate(db, migrations.slice(0, 2))
  database.exec(`
    insert into teams (id, name) values ('default', 'default');
    insert into api_keys (id, team_id, name, hash, mask, created_at) values
      ('k2', 'default', 'newer', 'h2', 'e2b_12…89ab', 2000), ('k1', 'default', 'older', 'h1', 'e2b_34…cdef', 1000);
    insert into sandboxes (id, team_id, template_id, state, started_at, end_at, cpu_count, memory_mb, disk_mb, metadata,
      env_vars, runtime, image) values ('i1', 'default', 'base', 'running', 1, 2, 1, 128, 1024, '{}', '{}', 'docker', 'x');
    insert into templates values ('mine', 'default', 'x', 'docker', 1, 128, 1024, 1), ('base', null, 'x', 'docker', 1, 128, 1024, 1);
    insert into snapshots values ('s1', 'default', 'i1', 'base', null, 'default', 0, 'ready', 'x', 'docker', 1, 128, 1024, 1);
    insert into lifecycle_events (id, team_id, sandbox_id, template_id, type, at) values
      ('e1', 'default', 'i1', 'base', 'created', 1);
  `)

  const store = await createSqlStore(
    db,
    createGroupSync(async () => {}),
  )
  const team = (await store.teams.first())!
  expect(team).toEqual({
    id: expect.stringMatching(uuid),
    name: 'default',
    slug: 'default',
    createdAt: 1000,
    limits: {},
  })
  const keys = await store.apiKeys.list(team.id)
  expect(keys.map(({ name }) => name)).toEqual(['older', 'newer'])
  for (const key of keys) expect(key).toMatchObject({ id: expect.stringMatching(uuid), lastUsedAt: null })
  expect((await store.apiKeys.findByHash('h1'))?.name).toBe('older')
  expect((await store.sandboxes.find('i1'))?.teamId).toBe(team.id)
  expect(await store.templates.resolve('mine', team.id)).toBeDefined()
  expect(await store.templates.resolve('base', 'any')).toBeDefined()
  expect((await store.templates.find('s1'))?.teamId).toBe(team.id)
  expect(await store.events.list({ teamId: team.id, limit: 10 })).toHaveLength(1)
  await store.close()
})
