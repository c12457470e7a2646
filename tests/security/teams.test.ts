/** What one team's key does with another team's things: the same answers as for what doesn't exist. */
import { beforeAll, describe, expect, test } from 'vitest'
import { ask } from './support/ask.ts'
import { attacked } from './support/attacked.ts'

const { victimKey, victim, attackerKey, attackerTeamId, adminToken } = attacked()
const unknownId = 'i0123456789abcdefghij'
const unknownUuid = '00000000-0000-4000-8000-000000000000'
const by = (key: string) => ({ headers: { 'x-api-key': key } })

let theirs: Record<'snapshot' | 'webhook' | 'key' | 'team', string>
beforeAll(async () => {
  const create = async (what: string, body: object) => {
    const answer = await ask(what, { ...by(victimKey), body: JSON.stringify(body) })
    expect(answer.status, answer.text).toBe(201)
    return JSON.parse(answer.text) as Record<string, string>
  }
  const list = async (what: string) => JSON.parse((await ask(what, by(victimKey))).text)
  const snapshot = await create(`POST /sandboxes/${victim.id}/snapshots`, { name: 'secret-snapshot' })
  const webhook = await create('POST /events/webhooks', {
    name: 'secret-webhook',
    url: 'https://203.0.113.7/',
    enabled: false,
    signatureSecret: 'a secret of sixteen',
  })
  const [team] = await list('GET /teams')
  const [key] = await list('GET /api-keys')
  theirs = { snapshot: snapshot.snapshotID!, webhook: webhook.id!, key: key.id, team: team.teamID }
})

interface Route {
  what: string
  body?: object
}
const timeout = { timeout: 60 }
const ofSandboxes: Route[] = [
  { what: 'GET /sandboxes/ID' },
  { what: 'DELETE /sandboxes/ID' },
  { what: 'POST /sandboxes/ID/connect', body: timeout },
  { what: 'POST /v2/sandboxes/ID/connect', body: timeout },
  { what: 'POST /sandboxes/ID/timeout', body: timeout },
  { what: 'POST /sandboxes/ID/refreshes', body: { duration: 60 } },
  { what: 'POST /sandboxes/ID/resume', body: timeout },
  { what: 'POST /sandboxes/ID/pause', body: {} },
  { what: 'POST /sandboxes/ID/pause', body: { memory: false } },
  { what: 'PUT /sandboxes/ID/network', body: {} },
  { what: 'POST /sandboxes/ID/snapshots', body: {} },
  { what: 'POST /sandboxes/ID/snapshots', body: { name: 'mine' } },
  { what: 'POST /sandboxes/ID/fork', body: { timeout: 60 } },
  { what: 'GET /sandboxes/ID/metrics' },
  { what: 'GET /sandboxes/ID/logs' },
  { what: 'GET /v2/sandboxes/ID/logs' },
  { what: 'GET /sandboxes/metrics?sandbox_ids=ID' },
  { what: 'GET /events/sandboxes/ID' },
]

async function expectSame({ what, body }: Route, id: string, unknown: string): Promise<void> {
  const about = (which: string) => {
    const sent =
      body === undefined ? {} : { body: JSON.stringify(body).replace('"ID"', JSON.stringify(which)) }
    return ask(what.replace('ID', encodeURIComponent(which)), { ...by(attackerKey), ...sent })
  }
  const [real, none] = [await about(id), await about(unknown)]
  expect(real.text.replaceAll(id, 'ID')).toBe(none.text.replaceAll(unknown, 'ID'))
  expect(real.status).toBe(none.status)
  if (real.status < 300) expect(real.text).not.toContain(victim.id)
  else expect(real.status).toBeGreaterThanOrEqual(400)
}

describe('another team’s sandbox is as one that isn’t there', () => {
  test.each(ofSandboxes)('$what $body', (route) => expectSame(route, victim.id, unknownId))
})

describe('so is all else of theirs', () => {
  test.each<{ route: Route; kind: keyof typeof theirs; unknown: string }>([
    { route: { what: 'DELETE /templates/ID' }, kind: 'snapshot', unknown: 'zzzzzzzzzzzzzzzzzzzz:default' },
    {
      route: { what: 'POST /sandboxes', body: { templateID: 'ID' } },
      kind: 'snapshot',
      unknown: 'zzzzzzzzzzzzzzzzzzzz',
    },
    { route: { what: 'GET /events/webhooks/ID' }, kind: 'webhook', unknown: unknownUuid },
    {
      route: { what: 'PATCH /events/webhooks/ID', body: { enabled: false } },
      kind: 'webhook',
      unknown: unknownUuid,
    },
    { route: { what: 'DELETE /events/webhooks/ID' }, kind: 'webhook', unknown: unknownUuid },
    { route: { what: 'PATCH /api-keys/ID', body: { name: 'taken' } }, kind: 'key', unknown: unknownUuid },
    { route: { what: 'DELETE /api-keys/ID' }, kind: 'key', unknown: unknownUuid },
    { route: { what: 'GET /teams/ID/metrics' }, kind: 'team', unknown: unknownUuid },
    {
      route: { what: 'GET /teams/ID/metrics/max?metric=concurrent_sandboxes' },
      kind: 'team',
      unknown: unknownUuid,
    },
  ])('$route.what', ({ route, kind, unknown }) => expectSame(route, theirs[kind], unknown))

  test.each([
    '/sandboxes',
    '/v2/sandboxes?state=running,paused',
    '/snapshots',
    '/events/sandboxes',
    '/events/webhooks',
    '/api-keys',
    '/teams',
  ])('%s lists none of them', async (path) => {
    const { status, text } = await ask(`GET ${path}`, by(attackerKey))
    expect(status).toBe(200)
    for (const name of [victim.id, 'secret-snapshot', 'secret-webhook', ...Object.values(theirs)])
      expect(text).not.toContain(name)
  })

  test('X-Team-ID doesn’t change whose key it is', async () => {
    const headers = { 'x-api-key': attackerKey, 'x-team-id': theirs.team }
    expect((await ask('GET /v2/sandboxes', { headers })).text).not.toContain(victim.id)
  })

  test('an idempotency key of theirs finds nothing', async () => {
    const headers = { 'x-api-key': attackerKey, 'idempotency-key': victim.id }
    const { status, text } = await ask('POST /sandboxes', { headers, body: '{"templateID":"nothing-such"}' })
    expect(status).toBe(404)
    expect(text).not.toContain(victim.id)
  })
})

describe('what is no key', () => {
  test.each<[string, Record<string, string | string[]>]>([
    ['none', {}],
    ['an empty one', { 'x-api-key': '' }],
    ['one in capitals', { 'x-api-key': victimKey.toUpperCase() }],
    ['one with a letter less', { 'x-api-key': victimKey.slice(0, -1) }],
    ['one with a letter more', { 'x-api-key': `${victimKey}0` }],
    ['one without its prefix', { 'x-api-key': victimKey.replace('e2b_', '') }],
    ['one behind a word', { 'x-api-key': `Bearer ${victimKey}` }],
    ['two of them', { 'x-api-key': [attackerKey, victimKey] }],
    ['null', { 'x-api-key': 'null' }],
    ['the mask of a key', { 'x-api-key': `${victimKey.slice(0, 8)}...${victimKey.slice(-4)}` }],
    ['a sandbox’s token', { 'x-api-key': victim.token }],
    ['the operator’s token', { 'x-api-key': adminToken }],
    ['a key where the operator’s token goes', { 'x-admin-token': victimKey }],
    ['a key as a cookie', { cookie: `x-api-key=${victimKey}` }],
  ])('%s: 401', async (_name, headers) => {
    expect((await ask('GET /v2/sandboxes', { headers })).status).toBe(401)
  })

  test('a key in the query: 401', async () => {
    expect((await ask(`GET /v2/sandboxes?api_key=${victimKey}&x-api-key=${victimKey}`)).status).toBe(401)
  })
})

describe('the operator’s routes', () => {
  const routes = [
    'GET /nodes',
    'POST /nodes/x',
    'GET /admin/sandboxes/running-counts',
    'POST /admin/teams/TEAM/sandboxes/kill',
    'POST /admin/teams/TEAM/api-keys',
    `DELETE /admin/teams/TEAM/api-keys/${unknownUuid}`,
  ]
  const body = (route: string) => (route.startsWith('POST') ? { body: '{}' } : {})
  test.each(routes)('%s takes no team’s key', async (route) => {
    const what = route.replace('TEAM', attackerTeamId)
    expect([401, 403]).toContain((await ask(what, { ...by(attackerKey), ...body(route) })).status)
  })

  test.each(['', 'null', adminToken.slice(0, -1), `${adminToken}0`, adminToken.toUpperCase()])(
    'token %#: 401',
    async (token) => {
      const headers = { 'x-admin-token': token, 'x-api-key': attackerKey }
      expect([401, 403]).toContain((await ask('GET /admin/sandboxes/running-counts', { headers })).status)
    },
  )
})
