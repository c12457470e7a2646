import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operations } from '../../src/wire/openapi.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

interface Call {
  method?: string
  body?: string
  key?: string | null
  /** Of the operator */
  adminToken?: string
}

async function call(path: string, { method = 'POST', body, key = server.apiKey, adminToken }: Call = {}) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    ...(body !== undefined && { body }),
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(key !== null && { 'x-api-key': key }),
      ...(adminToken !== undefined && { 'x-admin-token': adminToken }),
    },
  })
  const text = await response.text()
  expect(text).not.toContain('node_modules')
  expect(text).not.toContain('    at ')
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

describe('requests that can’t be served are answered in JSON, by name', () => {
  test.each([
    ['malformed JSON', '{"templateID":', 'not valid JSON'],
    ['no body', undefined, 'object'],
    ['no template', '{}', 'templateID'],
    ['a template that is a number', '{"templateID":1}', 'templateID'],
    ['a timeout that is text', '{"templateID":"base","timeout":"300"}', 'timeout'],
    ['a timeout of 0', '{"templateID":"base","timeout":0}', 'Timeout must be greater than 0'],
    ['a timeout that is a fraction', '{"templateID":"base","timeout":1.5}', 'timeout'],
    ['a timeout beyond 32 bits', '{"templateID":"base","timeout":99999999999}', 'timeout'],
    ['metadata of the wrong type', '{"templateID":"base","metadata":{"a":1}}', 'metadata.a'],
    ['an environment variable with "="', '{"templateID":"base","envVars":{"a=b":"c"}}', 'envVars'],
    ['an array', '[]', 'object'],
  ])('create with %s: 400', async (_name, body, hint) => {
    for (const path of ['/sandboxes', '/v2/sandboxes']) {
      const answer = await call(path, body === undefined ? {} : { body })
      expect(answer.status).toBe(400)
      expect(answer.body.code).toBe(400)
      expect(answer.body.message).toContain(hint)
    }
  })

  test('unknown template: 404', async () => {
    const answer = await call('/v2/sandboxes', { body: '{"templateID":"nope"}' })
    expect(answer).toMatchObject({ status: 404, body: { code: 404 } })
    expect(answer.body.message).toContain('nope')
  })

  test.each([null, '', 'e2b_0000', `e2b_${'0'.repeat(40)}`, 'x'.repeat(5000)])('key %j: 401', async (key) => {
    const answer = await call('/v2/sandboxes', { body: '{"templateID":"base"}', key })
    expect(answer).toMatchObject({ status: 401, body: { code: 401 } })
  })

  test.each([
    '{"templateID":"base","allow_internet_access":false,"network":{"allowOut":["8.8.8.8"]}}',
    '{"templateID":"base","network":{"denyOut":["8.8.8.0/24"]}}',
    '{"templateID":"base","volumeMounts":[{"name":"v","path":"/v"}]}',
  ])('what isn’t there yet is refused, not ignored: %s', async (body) => {
    const answer = await call('/v2/sandboxes', { body })
    expect(answer).toMatchObject({ status: 501, body: { code: 501 } })
  })

  test.each([
    ['timeout 0', '{"templateID":"base","timeout":0}', 'Timeout must be greater than 0'],
    [
      'a pause without memory that nothing asks for',
      '{"templateID":"base","autoPauseMemory":false}',
      'autoPause: true',
    ],
    [
      'traffic that is to wake files',
      '{"templateID":"base","autoPause":true,"autoPauseMemory":false,"autoResume":{"enabled":true}}',
      'autoResume',
    ],
    [
      'allowed domains in an open network',
      '{"templateID":"base","network":{"allowOut":["example.com"]}}',
      "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all other traffic.",
    ],
  ])('rules between fields, %s: 400', async (_name, body, message) => {
    const answer = await call('/v2/sandboxes', { body })
    expect(answer).toMatchObject({ status: 400, body: { code: 400 } })
    expect(answer.body.message).toContain(message)
  })

  test('unknown routes and methods: 404 in JSON', async () => {
    expect(await call('/nowhere', { method: 'GET' })).toMatchObject({ status: 404, body: { code: 404 } })
    expect(await call('/v2/sandboxes', { method: 'DELETE' })).toMatchObject({
      status: 404,
      body: { code: 404 },
    })
  })

  test('unknown and malformed sandbox ids: 404', async () => {
    for (const id of ['nope', 'i%2F..%2F', 'x'.repeat(400), '%F0%9F%98%80', "'%20OR%201=1--"]) {
      for (const [path, method, body] of [
        [`/sandboxes/${id}`, 'GET', undefined],
        [`/sandboxes/${id}`, 'DELETE', undefined],
        [`/sandboxes/${id}/timeout`, 'POST', '{"timeout":5}'],
        [`/sandboxes/${id}/connect`, 'POST', '{"timeout":5}'],
        [`/v2/sandboxes/${id}/connect`, 'POST', undefined],
      ] as const) {
        const answer = await call(path, { method, ...(body !== undefined && { body }) })
        expect(answer, `${method} ${path}`).toMatchObject({ status: 404, body: { code: 404 } })
      }
    }
  })

  test.each([
    'limit=0',
    'limit=101',
    'limit=x',
    'state=stopped',
    'order=up',
    'startedAfter=yesterday',
    'nextToken=zzz',
  ])('list with %s: 400', async (query) => {
    const answer = await call(`/v2/sandboxes?${query}`, { method: 'GET' })
    expect(answer).toMatchObject({ status: 400, body: { code: 400 } })
    expect(answer.body.message).toContain(query.split('=')[0])
  })

  test('what is not implemented yet: 501', async () => {
    const all = operations()
    const adminToken = readFileSync(join(server.stateDir, 'admin-token'), 'utf8').trim()
    expect(all.length).toBeGreaterThan(60)
    for (const { method, path, unimplemented } of all) {
      if (!unimplemented) continue
      const answer = await call(path.replaceAll(/\{\w+\}/g, 'x'), { method, adminToken })
      expect(answer, `${method} ${path}`).toMatchObject({ status: 501, body: { code: 501 } })
    }
  })

  test('health needs no key', async () => {
    expect(await (await fetch(`${server.url}/health`)).text()).toBe('Health check successful')
  })
})
