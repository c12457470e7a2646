import { expect, test } from 'vitest'
import { startApi } from '../../../../tests/support/api.ts'
import { rowOf } from '../../../../tests/support/control.ts'
import type { Sandbox } from '../../../domain/sandbox.ts'

test('the first generation lists all that run, however many', async () => {
  await using api = await startApi()
  for (let index = 0; index < 2_001; index++) {
    await api.control.store.sandboxes.create(
      rowOf({ id: `i${index}`, state: 'running', startedAt: index >> 1, endAt: 1e12 }),
    )
  }
  const ids = (await api.ask('GET /sandboxes'))
    .json()
    .map(({ sandboxID }: { sandboxID: string }) => sandboxID)
  expect(ids).toHaveLength(2_001)
  expect(new Set(ids).size).toBe(2_001)
})

test('the number of those that run follows the filters, over all pages, and comes where they are asked for', async () => {
  await using api = await startApi()
  const { sandboxes } = api.control.store
  const add = (id: string, row: Pick<Sandbox, 'state' | 'metadata' | 'startedAt'>) =>
    sandboxes.create(rowOf({ id, endAt: 1e12, ...row }))
  await add('ione', { state: 'running', metadata: { of: 'a' }, startedAt: 1_000 })
  await add('itwo', { state: 'running', metadata: { of: 'a' }, startedAt: 2_000 })
  await add('iother', { state: 'running', metadata: { of: 'b' }, startedAt: 3_000 })
  await add('ipaused', { state: 'paused', metadata: { of: 'a' }, startedAt: 4_000 })
  const total = async (query: string) =>
    (await api.ask(`GET /v2/sandboxes?${query}`)).headers['x-total-running']
  expect(await total('')).toBe('3')
  expect(await total('metadata=of%3Da')).toBe('2')
  expect(await total('metadata=of%3Da&state=running&limit=1')).toBe('2')
  expect(await total('startedAfter=1970-01-01T00:00:02Z')).toBe('2')
  expect(await total('template=unknown')).toBe('0')
  expect(await total('state=paused')).toBeUndefined()
  expect(await total('state=paused&template=unknown')).toBeUndefined()
  const first = await api.ask('GET /v2/sandboxes?limit=1&state=running')
  expect(await total(`limit=1&state=running&nextToken=${first.headers['x-next-token']}`)).toBe('3')
})

test.each([
  ['base', 200],
  ['unknown', 200],
  ['0123456789abcdefghij:default', 200],
  ['base:default', 400],
  ['base:v1', 400],
])('a list of sandboxes of template %s: %i', async (template, status) => {
  await using api = await startApi()
  expect((await api.ask(`GET /v2/sandboxes?template=${template}`)).statusCode).toBe(status)
})
