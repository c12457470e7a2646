import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../tests/support/api.ts'

const origin = 'https://app.example'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api[Symbol.asyncDispose]())

test.each([
  ['/v2/sandboxes', 'x-api-key,content-type'],
  ['/sandboxes/i0123456789abcdefghij', 'x-api-key'],
  ['/process.Process/Start', 'connect-protocol-version,x-access-token,e2b-sandbox-id,e2b-sandbox-port'],
  ['/files?path=x', 'x-access-token,e2b-sandbox-id,e2b-sandbox-port'],
  ['//files?path=x', 'x-access-token'],
  ['/nowhere', 'authorization'],
])('a preflight for %s needs no key', async (path, asked) => {
  const answer = await api.ask(`OPTIONS ${path}`, {
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
  })
  expect(answer.statusCode).toBe(204)
  expect(answer.headers).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-headers': asked,
    'access-control-allow-methods': expect.stringContaining('DELETE'),
  })
})

test.each([
  ['GET /v2/sandboxes', 200],
  ['GET /health', 200],
  ['GET /sandboxes/i0123456789abcdefghij', 404],
  ['GET /nowhere', 404],
  ['GET /%zz', 400],
  ['GET /v2/sandboxes?limit=many', 400],
  ['GET /volumes', 501],
])('the answer to %s, %d, is for scripts of any page', async (what, status) => {
  const answer = await api.ask(what, { headers: { origin, 'x-api-key': api.keys.team } })
  expect(answer.statusCode).toBe(status)
  expect(answer.headers['access-control-allow-origin']).toBe('*')
  const exposed = String(answer.headers['access-control-expose-headers']).split(', ')
  expect(exposed).toEqual(expect.arrayContaining(['X-Next-Token', 'X-Total-Running', 'Retry-After']))
})

test('so is a refusal without a key, and nothing is said to who is no page', async () => {
  const refused = await api.ask('GET /v2/sandboxes', { headers: { origin } })
  expect(refused.statusCode).toBe(401)
  expect(refused.headers['access-control-allow-origin']).toBe('*')
  expect((await api.ask('GET /v2/sandboxes')).headers).not.toHaveProperty('access-control-allow-origin')
  expect((await api.ask('OPTIONS /v2/sandboxes', { headers: {} })).statusCode).toBe(404)
})

test('paths may have a slash too many', async () => {
  expect((await api.ask('GET //v2/sandboxes')).statusCode).toBe(200)
})
