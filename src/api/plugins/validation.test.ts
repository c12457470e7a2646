import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../tests/support/api.ts'
import { openapi } from '../../wire/openapi.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api[Symbol.asyncDispose]())

interface Schema {
  type?: string | string[]
  minimum?: number
  maximum?: number
}

/** The integers of what clients send, each with where it stands. */
function requestIntegers(): [where: string, schema: Schema][] {
  const found = new Map<string, Schema>()
  const seen = new Set<string>()
  const visit = (value: unknown, where: string): void => {
    if (typeof value !== 'object' || value === null) return
    const { $ref } = value as { $ref?: string }
    if (typeof $ref === 'string') {
      const name = $ref.slice($ref.lastIndexOf('/') + 1)
      if (seen.has(name)) return
      seen.add(name)
      visit((openapi.components.schemas as Record<string, unknown>)[name], name)
      return
    }
    if ([(value as Schema).type].flat().includes('integer')) found.set(where, value as Schema)
    for (const [key, member] of Object.entries(value)) visit(member, `${where}.${key}`)
  }
  for (const [path, methods] of Object.entries(openapi.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const { requestBody, 'x-query-schema': query } = operation as Record<string, unknown>
      visit(requestBody, `${method} ${path}`)
      visit(query, `${method} ${path}`)
    }
  }
  return [...found]
}

test('every number that clients send has a least and a largest value', () => {
  const integers = requestIntegers()
  expect(integers.length).toBeGreaterThan(15)
  const open = integers.filter(([, { minimum, maximum }]) => minimum === undefined || maximum === undefined)
  expect(open.map(([where]) => where)).toEqual([])
})

test.each([
  'v2/sandboxes?limit=1e1',
  'v2/sandboxes?limit=0x10',
  'v2/sandboxes?limit=%2010',
  'v2/sandboxes?limit=+10',
  'v2/sandboxes?limit=10.0',
  'v2/sandboxes?limit=',
  'v2/sandboxes?limit=1&limit=2',
  'v2/sandboxes?limit=Infinity',
  'v2/sandboxes?limit=1e999',
  'v2/sandboxes?limit=101',
  'snapshots?limit=0',
  'v2/sandboxes/ione/logs?cursor=-1',
  'v2/sandboxes/ione/logs?cursor=1e999',
  'v2/sandboxes/ione/logs?cursor=9223372036854785807',
  'sandboxes/ione/logs?start=99999999999999999999',
  'sandboxes/ione/metrics?start=253402300800',
  'teams/team/metrics?start=10413792000',
  'teams/team/metrics?end=10413792000',
  'teams/team/metrics/max?metric=concurrent_sandboxes&end=10413792000',
])('%s is refused', async (path) => {
  const answer = await api.ask(`GET /${path}`)
  expect(answer.json()).toEqual({ code: 400, message: expect.any(String) })
})

test.each([
  ['v2/sandboxes?limit=10', 200],
  ['v2/sandboxes/ione/logs?cursor=9223372036854775807', 404],
  ['teams/team/metrics?end=10413791999', 200],
])('%s is not', async (path, status) => {
  expect((await api.ask(`GET /${path}`)).statusCode).toBe(status)
})

test.each([
  ['POST /sandboxes', { templateID: 'base', timeout: -1 }],
  ['POST /v2/sandboxes', { templateID: 'base', timeout: 2_147_483_648 }],
  ['POST /v2/sandboxes', { templateID: 'base', timeout: 1.5 }],
  ['POST /sandboxes/ione/timeout', { timeout: -2_147_483_649 }],
  ['POST /sandboxes/ione/timeout', { timeout: 2_147_483_648 }],
  ['POST /sandboxes/ione/fork', { timeout: -1 }],
  ['POST /sandboxes/ione/resume', { timeout: -1 }],
  ['POST /sandboxes/ione/refreshes', { duration: 3601 }],
])('%s with %j is refused', async (what, body) => {
  expect((await api.ask(what, { body })).statusCode).toBe(400)
})
