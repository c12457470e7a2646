import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'
import { rowOf } from '../../../../tests/support/control.ts'
import { eventOf } from '../../../control/lifecycle.ts'

const start = Date.parse('2026-01-02T03:04:05.000Z')
const row = rowOf({ id: 'i0123456789abcdefghij', state: 'running', startedAt: start + 0.5 })
let api: TestApi
beforeAll(async () => {
  api = await startApi()
  const { store } = api.control
  await store.sandboxes.create(row)
  const created = eventOf(row, { type: 'created', reason: 'request' }, start + 0.5)
  await store.sandboxes.update(row.id, {}, { event: created })
  const entry = (seconds: number, level: 'debug' | 'info' | 'warn' | 'error', message: string) => ({
    teamId: 'team',
    sandboxId: row.id,
    at: start + seconds * 1_000,
    level,
    message,
    fields: { logger: 'process', pid: '7' },
  })
  await store.logs.add([
    entry(1, 'debug', 'one'),
    entry(2, 'info', 'Two'),
    entry(3, 'warn', 'three'),
    entry(4, 'error', 'four'),
  ])
})
afterAll(() => api[Symbol.asyncDispose]())

const said = async (query: string) =>
  (await api.ask(`GET /v2/sandboxes/${row.id}/logs?${query}`))
    .json()
    .logs.map(({ message }: { message: string }) => message)

test.each([
  ['', ['sandbox created', 'one', 'Two', 'three', 'four']],
  ['level=warn', ['three', 'four']],
  ['level=INFO', ['sandbox created', 'Two', 'three', 'four']],
  ['search=Tw', ['Two']],
  ['search=tw', []],
  ['search=created', ['sandbox created']],
  ['search=CREATED', []],
  ['search=%25', []],
  ['limit=2', ['sandbox created', 'one']],
  ['limit=2&direction=backward', ['four', 'three']],
  [`cursor=${start + 3_000}`, ['three', 'four']],
  [`cursor=${start + 1_000}&direction=backward`, ['one', 'sandbox created']],
  [`cursor=${start}&direction=backward`, ['sandbox created']],
  [`cursor=${start + 1}&limit=1`, ['one']],
  ['limit=0', []],
])('v2 %s', async (query, expected) => {
  expect(await said(query)).toEqual(expected)
})

test.each(['level=loud', 'limit=1001', 'limit=-1', 'direction=up', 'cursor=now'])(
  'v2 %s is refused',
  async (query) => {
    expect((await api.ask(`GET /v2/sandboxes/${row.id}/logs?${query}`)).statusCode).toBe(400)
  },
)

test('the first generation says the same twice, once as JSON in text', async () => {
  const path = `/sandboxes/${row.id}/logs?start=${start + 4_000}`
  const { logs, logEntries } = (await api.ask(`GET ${path}`)).json()
  const timestamp = '2026-01-02T03:04:09.000Z'
  expect(logEntries).toEqual([
    { timestamp, level: 'error', message: 'four', fields: { logger: 'process', pid: '7' } },
  ])
  expect(logs).toEqual([{ timestamp, line: expect.any(String) }])
  expect(JSON.parse(logs[0].line)).toEqual({
    timestamp,
    level: 'error',
    message: 'four',
    logger: 'process',
    pid: '7',
  })
})

test('it can be read after the end, and by no other team', async () => {
  const headers = { 'x-api-key': api.keys.other }
  for (const path of [`/sandboxes/${row.id}/logs`, `/v2/sandboxes/${row.id}/logs`])
    expect((await api.ask(`GET ${path}`, { headers })).statusCode).toBe(404)
  const killed = eventOf(row, { type: 'killed', reason: 'timeout' }, start + 5_000)
  await api.control.store.sandboxes.update(row.id, { state: 'killing' }, { event: killed })
  await api.control.store.sandboxes.remove(row.id)
  expect(await said('direction=backward&limit=2')).toEqual(['sandbox killed', 'four'])
  expect((await api.ask('GET /v2/sandboxes/inobodys/logs')).statusCode).toBe(404)
})
