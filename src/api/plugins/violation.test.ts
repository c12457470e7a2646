import { expect, test } from 'vitest'
import { startApi } from '../../../tests/support/api.ts'

test.each([
  ['POST /v2/sandboxes', {}, "The request body has no 'templateID', which is required."],
  ['POST /v2/sandboxes', { templateID: 1 }, "'templateID' in the request body must be a string."],
  [
    'POST /v2/sandboxes',
    { templateID: '' },
    "'templateID' in the request body must have at least 1 character.",
  ],
  [
    'POST /v2/sandboxes',
    { templateID: 'base', metadata: { a: 1 } },
    "'metadata.a' in the request body must be a string.",
  ],
  [
    'POST /v2/sandboxes',
    { templateID: 'base', network: { allowOut: 'x' } },
    "'network.allowOut' in the request body must be an array or null.",
  ],
  ['POST /v2/sandboxes', [], 'The request body must be a JSON object.'],
  ['POST /v2/sandboxes', undefined, 'The request body must be a JSON object.'],
  ['GET /v2/sandboxes?order=up', undefined, `'order' in the request query must be one of "asc", "desc".`],
  ['GET /v2/sandboxes?limit=0', undefined, "'limit' in the request query must be >= 1."],
  [
    'GET /v2/sandboxes?startedAfter=now',
    undefined,
    "'startedAfter' in the request query must be a date with time and zone, such as 2026-01-31T12:00:00Z.",
  ],
])('%s with %j: %s', async (what, body, message) => {
  await using api = await startApi()
  const answer = await api.ask(what, { body })
  expect(answer.statusCode).toBe(400)
  expect(answer.json()).toEqual({ code: 400, message })
})

test.each([
  ['text/plain', '{"templateID":"base"}', /Content-Type: application\/json/],
  ['application/x-www-form-urlencoded', '{"templateID":"base"}', /Content-Type: application\/json/],
  ['application/json', `"${'x'.repeat(1024 * 1024)}"`, /longer than 1024 KiB/],
  ['application/json', '{', /not valid JSON/],
  ['application/json', `{"x":[${'{},'.repeat(300_000)}{}]}`, /more than 20000 members/],
  ['application/json', '['.repeat(1_000_000), /64 levels/],
])('a body of type %s that can’t be taken is refused with what to do', async (type, body, message) => {
  await using api = await startApi()
  const headers = { 'x-api-key': api.keys.team, 'content-type': type }
  const answer = await api.app.inject({ method: 'POST', url: '/v2/sandboxes', headers, payload: body })
  expect(answer.statusCode).toBe(400)
  expect(answer.json()).toEqual({ code: 400, message: expect.stringMatching(message) })
})

test('a URL that can’t be decoded is answered as every error is', async () => {
  await using api = await startApi()
  for (const url of ['/%zz', '/sandboxes/%zz', '/sandboxes/%ff']) {
    const answer = await api.ask(`GET ${url}`)
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toEqual({ code: 400, message: expect.stringContaining('%25') })
  }
})
