import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { expect, test } from 'vitest'
import type { NewLifecycleEvent } from '../domain/lifecycle-event.ts'
import { sandbox } from './sandbox.fixture.ts'
import type { Tables } from './schema.ts'
import { createSqlStore } from './sql-store.ts'

const event: NewLifecycleEvent = {
  ...{ teamId: 'red', sandboxId: 'ione', templateId: 'base', type: 'paused' },
  ...{ at: 1, reason: null, detail: {} },
}

test('intents of sandboxes don’t wait for the disk, and all else does', async () => {
  const dialect = new SqliteDialect({ database: new Database(':memory:') })
  let syncs = 0
  const store = await createSqlStore(new Kysely<Tables>({ dialect }), async () => void syncs++)
  const syncsOf = async (task: () => Promise<unknown>) => {
    const before = syncs
    await task()
    return syncs - before
  }
  const { sandboxes } = store
  const from = { from: 'running', event } as const
  expect(await syncsOf(() => sandboxes.create(sandbox({ id: 'ione' })))).toBe(0)
  expect(await syncsOf(() => sandboxes.create(sandbox({ id: 'itwo' }), event))).toBe(1)
  expect(await syncsOf(() => sandboxes.update('ione', { state: 'running' }))).toBe(1)
  expect(
    await syncsOf(() => sandboxes.update('ione', { state: 'killing' }, { ...from, isIntent: true })),
  ).toBe(0)
  expect(await syncsOf(() => sandboxes.remove('ione'))).toBe(0)
  const red = { id: 'red', name: 'Red', slug: 'red', createdAt: 1, limits: {} }
  expect(await syncsOf(() => store.teams.create(red))).toBe(1)
  expect(await syncsOf(() => store.durable())).toBe(1)
  await store.close()
})
