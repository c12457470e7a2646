import { expect, test } from 'vitest'
import { startApi } from '../../../../tests/support/api.ts'
import { rowOf } from '../../../../tests/support/control.ts'

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
