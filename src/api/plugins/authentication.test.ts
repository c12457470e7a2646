import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../tests/support/api.ts'
import { operations } from '../../wire/openapi.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api[Symbol.asyncDispose]())

const wrongKey = `e2b_${'0'.repeat(40)}`

test.each<[string, () => Record<string, string>, number, RegExp]>([
  ['no credentials', () => ({}), 401, /^API key missing/],
  [
    'an unknown key',
    () => ({ 'x-api-key': wrongKey }),
    401,
    /^Invalid API key, please visit https:\/\/e2b\.dev\/docs\/api-key/,
  ],
  ['no key at all', () => ({ 'x-api-key': 'hunter2' }), 401, /^Invalid API key/],
  ['a key', () => ({ 'x-api-key': api.keys.team }), 200, /^$/],
  ['a key with its team', () => ({ 'x-api-key': api.keys.team, 'x-team-id': 'team' }), 200, /^$/],
  ['a key with another team', () => ({ 'x-api-key': api.keys.team, 'x-team-id': 'other' }), 400, /X-Team-ID/],
  [
    'a wrong admin token',
    () => ({ 'x-admin-token': 'guess', 'x-team-id': 'team' }),
    401,
    /^Invalid admin token/,
  ],
  ['an empty admin token', () => ({ 'x-admin-token': '', 'x-team-id': 'team' }), 401, /^Admin token missing/],
  ['the admin token alone', () => ({ 'x-admin-token': api.adminToken }), 400, /X-Team-ID/],
  [
    'the admin token with a team',
    () => ({ 'x-admin-token': api.adminToken, 'x-team-id': 'team' }),
    200,
    /^$/,
  ],
  [
    'the admin token with no team of ours',
    () => ({ 'x-admin-token': api.adminToken, 'x-team-id': 'none' }),
    404,
    /no team/,
  ],
  [
    'a wrong key beside the admin token',
    () => ({ 'x-api-key': wrongKey, 'x-admin-token': api.adminToken, 'x-team-id': 'team' }),
    401,
    /^Invalid API key/,
  ],
])('operations of teams with %s', async (_, headers, status, message) => {
  const answer = await api.ask('GET /v2/sandboxes', { headers: headers() })
  expect(answer.statusCode).toBe(status)
  if (status === 200) return
  expect(answer.json()).toEqual({ code: status, message: expect.stringMatching(message) })
})

test('the operator’s operations take nothing but the admin token', async () => {
  const mine = operations().filter(({ path }) => /^\/(nodes|admin|metrics)/.test(path))
  expect(mine.length).toBeGreaterThan(7)
  for (const { method, path } of mine) {
    for (const headers of [{}, { 'x-api-key': api.keys.team }, { 'x-admin-token': api.keys.team }]) {
      const { statusCode } = await api.ask(`${method} ${path}`, {
        headers: headers as Record<string, string>,
      })
      expect(`${method} ${path} ${statusCode}`).toBe(`${method} ${path} 401`)
    }
  }
})

test('another team’s ids are answered as if they were unknown', async () => {
  const [foreign] = await api.control.store.apiKeys.list('other')
  const probes: [what: string, id: string, body?: unknown][] = [
    ['PATCH /api-keys/{}', foreign!.id, { name: 'mine now' }],
    ['DELETE /api-keys/{}', foreign!.id],
    ['GET /teams/{}/metrics', 'other'],
    ['GET /teams/{}/metrics/max?metric=concurrent_sandboxes', 'other'],
  ]
  for (const [what, id, body] of probes) {
    const [theirs, unknown] = await Promise.all(
      [id, 'unknown'].map((each) => api.ask(what.replace('{}', each), { body })),
    )
    expect(theirs!.statusCode).toBe(404)
    expect(theirs!.body.replace(id, 'unknown')).toBe(unknown!.body)
  }
  expect(await api.control.store.apiKeys.list('other')).toEqual([
    expect.objectContaining({ id: foreign!.id, name: foreign!.name }),
  ])
})
