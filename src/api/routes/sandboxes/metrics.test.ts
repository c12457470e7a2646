import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'
import { rowOf } from '../../../../tests/support/control.ts'

const second = Math.floor(Date.parse('2026-01-02T03:04:05.000Z') / 1_000)
const figures = {
  cpuCount: 2,
  cpuUsedPct: 12.5,
  memUsed: 1,
  memTotal: 2,
  memCache: 3,
  diskUsed: 4,
  diskTotal: 5,
}
let api: TestApi
beforeAll(async () => {
  api = await startApi()
  const { sandboxes, sandboxMetrics } = api.control.store
  await sandboxes.create(rowOf({ id: 'imine', state: 'paused' }))
  await sandboxes.create(rowOf({ id: 'inone', state: 'running' }))
  await sandboxes.create(rowOf({ id: 'itheirs', state: 'running', teamId: 'other' }))
  const times = [0, 5, 10].map((after) => (second + after) * 1_000 + 678)
  await sandboxMetrics.add(
    ['imine', 'itheirs'].flatMap((sandboxId) => times.map((at) => ({ ...figures, sandboxId, at }))),
  )
})
afterAll(() => api[Symbol.asyncDispose]())

const shown = (after: number) => ({
  ...figures,
  timestamp: new Date((second + after) * 1_000 + 678).toISOString(),
  timestampUnix: second + after,
})

test.each([
  ['', [0, 5, 10]],
  [`?start=${second + 5}`, [5, 10]],
  [`?end=${second + 5}`, [0, 5]],
  [`?start=${second + 5}&end=${second + 5}`, [5]],
  [`?start=${second - 7_200}&end=${second - 3_600}`, []],
])('of a paused sandbox%s', async (query, expected) => {
  const answer = await api.ask(`GET /sandboxes/imine/metrics${query}`)
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toEqual(expected.map(shown))
})

test.each(['start=2&end=1', 'start=-1', 'start=1.5', 'end=soon', 'start=1767323045678'])(
  '%s is refused',
  async (query) => {
    expect((await api.ask(`GET /sandboxes/imine/metrics?${query}`)).statusCode).toBe(400)
  },
)

test('of another team’s sandbox, or none, there are none', async () => {
  for (const id of ['itheirs', 'iunknown']) {
    const answer = await api.ask(`GET /sandboxes/${id}/metrics`)
    expect([id, answer.statusCode, answer.json().code]).toEqual([id, 404, 404])
  }
})

test('the newest of several, leaving out what isn’t the team’s or has none', async () => {
  const answer = await api.ask('GET /sandboxes/metrics?sandbox_ids=imine,inone,itheirs,iunknown,imine')
  expect(answer.json()).toEqual({ sandboxes: { imine: shown(10) } })
  const ids = (count: number) => Array.from({ length: count }, (_, i) => `i${i}`).join(',')
  expect((await api.ask(`GET /sandboxes/metrics?sandbox_ids=${ids(100)}`)).statusCode).toBe(200)
  for (const query of ['', '?sandbox_ids=', `?sandbox_ids=${ids(101)}`])
    expect((await api.ask(`GET /sandboxes/metrics${query}`)).statusCode).toBe(400)
})
