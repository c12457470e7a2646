import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { expect, test } from 'vitest'
import { createGroupSync } from '../group-sync.ts'
import { migrate, migrations } from '../migrate.ts'
import type { Tables } from '../schema.ts'
import { createSqlStore } from '../sql-store.ts'

test('templates get a build, snapshots become builds of their names, and sandboxes keep theirs', async () => {
  const database = new Database(':memory:')
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
  await migrate(db, migrations.slice(0, 4))
  const sandbox = (id: string, template: string, image: string) =>
    `('${id}', 'red', '${template}', 'running', 1, 2, 1, 128, 1024, '{}', '{}', 'docker', '${image}')`
  const snapshot = (
    id: string,
    name: string | null,
    tag: string,
    image: string,
    at: number,
    state = 'ready',
  ) =>
    `('${id}', 'red', 'i1', 'base', ${name && `'${name}'`}, '${tag}', 0, '${state}', '${image}', 'docker', 1, 128, 1024, ${at})`
  database.exec(`
    insert into templates values ('base', null, 'base:1', 'docker', 2, 512, 1024, 5);
    insert into template_aliases values ('base', 'base', 0);
    insert into snapshots values ${snapshot('s1', 'mine', 'v1', 'image:1', 1)}, ${snapshot('s2', 'mine', 'v2', 'image:2', 2)},
      ${snapshot('s3', null, 'default', 'image:3', 3)}, ${snapshot('s4', null, 'default', 'image:4', 4, 'creating')};
    insert into sandboxes (id, team_id, template_id, state, started_at, end_at, cpu_count, memory_mb, disk_mb, metadata,
      env_vars, runtime, image) values ${sandbox('i1', 'base', 'base:1')}, ${sandbox('i2', 's1', 'image:1')};
  `)
  const store = await createSqlStore(
    db,
    createGroupSync(async () => {}),
  )

  const base = await store.templates.resolve('base', 'red')
  expect(base).toMatchObject({
    id: 'base',
    isPublic: true,
    kind: 'template',
    aliases: ['base'],
    updatedAt: 5,
  })
  const [built] = await store.builds.list({ templateId: 'base' })
  const sizes = { cpuCount: 2, memoryMb: 512, diskMb: 1024 }
  expect(built).toMatchObject({ ...sizes, image: 'base:1', status: 'ready', origin: null, teamId: null })
  expect((await store.sandboxes.find('i1'))?.buildId).toBe(built?.id)

  const mine = await store.templates.findByAlias('red', 'mine')
  expect(mine).toMatchObject({ id: 's2', kind: 'snapshot', isPublic: false })
  const tags = await store.tags.list('s2')
  expect(tags.map(({ tag, createdAt }) => [tag, createdAt])).toEqual([
    ['v2', 2],
    ['v1', 1],
  ])
  const older = await store.builds.find(tags[1]!.buildId)
  expect(older).toMatchObject({ image: 'image:1', origin: { sandboxId: 'i1', templateId: 'base' } })
  expect(await store.sandboxes.find('i2')).toMatchObject({ templateId: 's2', buildId: older?.id })
  expect((await store.tags.list('s3')).map(({ tag }) => tag)).toEqual(['default'])
  expect(await store.templates.find('s4')).toBeUndefined()
  await store.close()
})
