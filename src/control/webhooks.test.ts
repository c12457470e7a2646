import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Store } from '../domain/store.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { createWebhook, deleteWebhook } from './webhooks.ts'

let store: Store
beforeEach(async () => {
  store = await openSqliteStore({ path: ':memory:' })
})
afterEach(() => store.close())

const create = (teamId: string) =>
  createWebhook({ store, clock: { now: () => 1 } }, teamId, {
    name: 'mine',
    url: 'http://127.0.0.1/hook',
    enabled: true,
    events: [],
    secret: 'a secret of some length',
  })

test('a team has fifty webhooks and no more, also when it asks for many at once', async () => {
  const asked = await Promise.allSettled(Array.from({ length: 60 }, () => create('team')))
  const refused = asked.filter(({ status }) => status === 'rejected')
  expect(refused).toHaveLength(10)
  expect(refused[0]).toMatchObject({ reason: { code: 'resource_exhausted' } })
  const made = await store.webhooks.list({ teamId: 'team' })
  expect(made).toHaveLength(50)

  await create('other')
  await deleteWebhook({ store, clock: { now: () => 1 } }, made[0]!)
  await create('team')
  await expect(create('team')).rejects.toMatchObject({ code: 'resource_exhausted' })
})
