import { afterEach, beforeEach, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'

/** A wall clock that the test sets. */
let now: number
let api: TestApi
beforeEach(async () => {
  now = 1_765_432_109_876
  api = await startApi({ clock: { now: () => now } })
})
afterEach(() => api[Symbol.asyncDispose]())

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

test('a key is made, shown once, listed masked, renamed and deleted', async () => {
  const made = await api.ask('POST /api-keys', { body: { name: 'ci' } })
  expect(made.statusCode).toBe(201)
  const { key, ...rest } = made.json()
  expect(key).toMatch(/^e2b_[0-9a-f]{40}$/)
  expect(rest).toEqual({
    id: expect.stringMatching(uuid),
    name: 'ci',
    mask: {
      prefix: 'e2b_',
      valueLength: 40,
      maskedValuePrefix: key.slice(4, 6),
      maskedValueSuffix: key.slice(-4),
    },
    createdAt: '2025-12-11T05:48:29.876Z',
    createdBy: null,
    lastUsed: null,
  })

  const listed = await api.ask('GET /api-keys', { headers: { 'x-api-key': key } })
  expect(listed.body).not.toContain(key)
  expect(listed.json()).toContainEqual(rest)
  expect(listed.json()).toHaveLength(2)

  expect((await api.ask(`PATCH /api-keys/${rest.id}`, { body: { name: 'other name' } })).statusCode).toBe(200)
  expect((await api.ask('GET /api-keys')).json()).toContainEqual(
    expect.objectContaining({ id: rest.id, name: 'other name' }),
  )

  const itself = { headers: { 'x-api-key': key } }
  expect((await api.ask(`DELETE /api-keys/${rest.id}`, itself)).statusCode).toBe(204)
  expect((await api.ask('GET /v2/sandboxes', itself)).statusCode).toBe(401)
  expect((await api.ask(`DELETE /api-keys/${rest.id}`)).statusCode).toBe(404)
})

test('names have bounds, and bodies their type', async () => {
  for (const body of [{}, { name: '' }, { name: 'x'.repeat(257) }, { name: 7 }]) {
    const { statusCode } = await api.ask('POST /api-keys', { body })
    expect(statusCode).toBe(400)
  }
})

test('when a key was used is known to the minute, and nobody waits for its record', async () => {
  const lastUsed = async () => (await api.control.store.apiKeys.list('team'))[0]?.lastUsedAt
  const first = now
  await api.ask('GET /v2/sandboxes')
  await expect.poll(lastUsed).toBe(first)
  now = first + 59_999
  await api.ask('GET /v2/sandboxes')
  now = first + 60_000
  await api.ask('GET /v2/sandboxes')
  await expect.poll(lastUsed).toBe(first + 60_000)
  expect((await api.ask('GET /api-keys')).json()[0].lastUsed).toBe('2025-12-11T05:49:29.876Z')
  expect((await api.control.store.apiKeys.list('other'))[0]?.lastUsedAt).toBeNull()
})

test('the operator makes and deletes keys of any team, as the team or for it', async () => {
  const operator = { 'x-admin-token': api.adminToken }
  const made = await api.ask('POST /admin/teams/other/api-keys', { headers: operator, body: { name: 'x' } })
  expect(made.statusCode).toBe(201)
  const { key, id } = made.json()
  const asOther = { headers: { ...operator, 'x-team-id': 'other' } }
  expect((await api.ask('GET /api-keys', asOther)).json()).toHaveLength(2)
  expect((await api.ask('GET /api-keys', { headers: { 'x-api-key': key } })).statusCode).toBe(200)

  const wrongTeam = await api.ask(`DELETE /admin/teams/team/api-keys/${id}`, { headers: operator })
  expect(wrongTeam.statusCode).toBe(404)
  const deleted = await api.ask(`DELETE /admin/teams/other/api-keys/${id}`, { headers: operator })
  expect(deleted.statusCode).toBe(204)
  expect((await api.ask('GET /api-keys', { headers: { 'x-api-key': key } })).statusCode).toBe(401)

  const unknown = await api.ask('POST /admin/teams/none/api-keys', { headers: operator, body: { name: 'x' } })
  expect(unknown.statusCode).toBe(404)
})

test('a team has a thousand keys and no more', async () => {
  const { store } = api.control
  for (let index = 1; index < 1_000; index++) {
    await store.apiKeys.create({
      id: `k${index}`,
      teamId: 'team',
      name: 'x',
      hash: `h${index}`,
      mask: 'e2b_00…0000',
      createdAt: 1,
      lastUsedAt: null,
    })
  }
  const refused = await api.ask('POST /api-keys', { body: { name: 'one more' } })
  expect(refused.statusCode).toBe(429)
  await store.apiKeys.remove('k1')
  expect((await api.ask('POST /api-keys', { body: { name: 'one more' } })).statusCode).toBe(201)
})
