import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'
import { buildOf, templateOf } from '../../../../tests/support/control.ts'

const mine = 'm0000000000000000000'
const theirs = 't0000000000000000000'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
  const { builds } = api.control.store
  for (const [id, teamId, name] of [
    [mine, 'team', 'my-snap'],
    [theirs, 'other', 'their-snap'],
  ] as const) {
    const template = templateOf({ id, teamId, aliases: [name], kind: 'snapshot' })
    await builds.create(buildOf({ templateId: id, teamId }), { template })
  }
})
afterAll(() => api[Symbol.asyncDispose]())

test.each([
  ['base', 200, { templateID: 'base', public: true }],
  ['Base', 200, { templateID: 'base', public: true }],
  ['base:v2', 200, { templateID: 'base', public: true }],
  ['e2b%2Fbase', 200, { templateID: 'base', public: true }],
  ['my-snap', 200, { templateID: mine, public: false }],
  ['team%2Fmy-snap:v9', 200, { templateID: mine, public: false }],
  [mine, 200, { templateID: mine, public: false }],
  [theirs, 403, { code: 403, message: "You don't have access to this template alias" }],
  ['their-snap', 404, { code: 404, message: expect.stringMatching(/^Template "their-snap" doesn't exist/) }],
  ['team%2Fbase', 404, { code: 404, message: expect.stringContaining('"base"') }],
  ['e2b%2Fmy-snap', 404, { code: 404, message: expect.stringContaining('"base"') }],
  ['other%2Ftheir-snap', 400, { code: 400, message: expect.stringContaining("'team'") }],
  ['no%20name', 400, { code: 400, message: expect.stringContaining('Invalid name') }],
])('%s is answered %d', async (alias, status, body) => {
  const answer = await api.ask(`GET /templates/aliases/${alias}`)
  expect(answer.json()).toEqual(body)
  expect(answer.statusCode).toBe(status)
})
