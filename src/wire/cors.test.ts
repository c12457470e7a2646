import { expect, test } from 'vitest'
import { corsHeaders, isPreflight, preflightHeaders } from './cors.ts'

const origin = 'https://app.example'

test.each([
  ['OPTIONS', { origin, 'access-control-request-method': 'POST' }, true],
  ['OPTIONS', { origin }, false],
  ['OPTIONS', { 'access-control-request-method': 'POST' }, false],
  ['POST', { origin, 'access-control-request-method': 'POST' }, false],
])('%s with %j is a preflight: %s', (method, headers, is) => {
  expect(isPreflight({ method, headers })).toBe(is)
})

test('a preflight is allowed what it asks for, by name', () => {
  const headers = { origin, 'access-control-request-headers': 'authorization,e2b-sandbox-id' }
  expect(preflightHeaders({ headers })).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-headers': 'authorization,e2b-sandbox-id',
    'access-control-allow-methods': expect.stringContaining('PATCH'),
  })
  expect(preflightHeaders({ headers: { origin } })).not.toHaveProperty('access-control-allow-headers')
})

test('answers are marked where a page asks, and for nobody else', () => {
  expect(corsHeaders({ headers: {} })).toEqual({})
  expect(corsHeaders({ headers: { origin } }, ['X-One', 'X-Two'])).toEqual({
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'X-One, X-Two',
  })
})
