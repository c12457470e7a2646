import { expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { createLogWriter } from './log-writer.ts'

const entry = (message: string) => ({
  teamId: 'team',
  sandboxId: 'ione',
  at: 1,
  level: 'info' as const,
  message,
  fields: { logger: 'process', stream: 'stdout' },
})

const openWriter = async (now = () => 1) => {
  const store = await openSqliteStore({ path: ':memory:' })
  const told: Record<string, unknown>[] = []
  const log = { ...silentLog, warn: (fields: Record<string, unknown>) => told.push(fields) }
  const writer = createLogWriter({ store, clock: { now }, log })
  const list = (sandboxId: string, limit = 20_000) =>
    store.logs.list({ teamId: 'team', sandboxId, limit, order: 'desc' })
  return { store, told, writer, list }
}

test('entries are written in order, and what is left at the end', async () => {
  const { store, writer, list } = await openWriter()
  for (let i = 0; i < 900; i++) writer.write(entry(`line ${i}`))
  await writer.flush()
  expect((await list('ione')).map(({ message }) => message).reverse()).toEqual(
    Array.from({ length: 900 }, (_, i) => `line ${i}`),
  )
  const stopping = new AbortController()
  const running = writer.run(stopping.signal)
  writer.write(entry('last'))
  stopping.abort()
  await running
  expect((await list('ione', 1))[0]?.message).toBe('last')
  await store.close()
})

test('a sandbox that says too much loses some, says so, and costs others nothing', async () => {
  let now = 1
  const { store, told, writer, list } = await openWriter(() => now)
  for (let i = 0; i < 2_100; i++) writer.write(entry(`line ${i}`))
  writer.write({ ...entry('process ended'), fields: { logger: 'process' } })
  writer.write({ ...entry('quiet'), sandboxId: 'itwo' })
  await writer.flush()
  expect(told).toEqual([{ sandboxId: 'ione', dropped: 100 }])
  const [last, end, line] = await list('ione')
  expect(last).toMatchObject({ level: 'warn', message: '100 entries came too fast and were dropped' })
  expect([end?.message, line?.message]).toEqual(['process ended', 'line 1999'])
  expect((await list('itwo')).map(({ message }) => message)).toEqual(['quiet'])
  now += 100
  for (let i = 0; i < 300; i++) writer.write(entry(`later ${i}`))
  await writer.flush()
  expect((await list('ione')).filter(({ message }) => message.startsWith('later'))).toHaveLength(200)
  await store.close()
})

test('what waits is bounded in characters, and what is kept of a sandbox too', async () => {
  const { store, told, writer, list } = await openWriter()
  const long = 'x'.repeat(64 * 1024)
  for (let i = 0; i < 300; i++) writer.write({ ...entry(long), sandboxId: `i${i % 4}` })
  await writer.flush()
  const lost = told.reduce((sum, { dropped }) => sum + Number(dropped), 0)
  expect(lost).toBe(300 - 256)
  const kept = (await list('i0')).reduce((sum, { message }) => sum + message.length, 0)
  expect(kept).toBeGreaterThan(2 ** 20)
  expect(kept).toBeLessThanOrEqual(4 * 2 ** 20)
  await store.close()
})

test('a search finds what it says and not what a pattern would', async () => {
  const store = await openSqliteStore({ path: ':memory:' })
  await store.logs.add(['100% sure', '100% Sure', '100 x sure', 'a_b', 'axb', 'back\\slash'].map(entry))
  const found = async (search: string) =>
    (await store.logs.list({ teamId: 'team', sandboxId: 'ione', search, limit: 10 })).map(
      ({ message }) => message,
    )
  expect(await found('100% s')).toEqual(['100% sure'])
  expect(await found('a_b')).toEqual(['a_b'])
  expect(await found('back\\slash')).toEqual(['back\\slash'])
  expect(await store.logs.list({ teamId: 'other', sandboxId: 'ione', limit: 10 })).toEqual([])
  await store.close()
})
