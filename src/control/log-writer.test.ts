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
  fields: { logger: 'process' },
})

test('entries are written in order, what comes too fast is dropped and counted, the rest is written at the end', async () => {
  const store = await openSqliteStore({ path: ':memory:' })
  const dropped: unknown[] = []
  const log = { ...silentLog, warn: (fields: Record<string, unknown>) => dropped.push(fields.dropped) }
  const writer = createLogWriter({ store, clock: { now: () => 1 }, log })
  const stopping = new AbortController()
  const running = writer.run(stopping.signal)
  for (let i = 0; i < 20_100; i++) writer.write(entry(`line ${i}`))
  await writer.flush()
  expect(dropped).toEqual([100])
  const list = (limit: number) => store.logs.list({ teamId: 'team', sandboxId: 'ione', limit, order: 'desc' })
  expect((await list(1))[0]?.message).toBe('line 19999')
  writer.write(entry('last'))
  stopping.abort()
  await running
  expect((await list(1))[0]?.message).toBe('last')

  await store.logs.trim({ before: 0, endedBefore: 0, max: 10 })
  expect(await list(1_000)).toHaveLength(10)
  await store.logs.trim({ before: 0, endedBefore: 2, max: 10 })
  expect(await list(1_000)).toEqual([])
  await store.close()
})

test('a search finds what it says and not what a pattern would', async () => {
  const store = await openSqliteStore({ path: ':memory:' })
  await store.logs.add(['100% sure', '100 x sure', 'a_b', 'axb', 'back\\slash'].map(entry))
  const found = async (search: string) =>
    (await store.logs.list({ teamId: 'team', sandboxId: 'ione', search, limit: 10 })).map(
      ({ message }) => message,
    )
  expect(await found('100%')).toEqual(['100% sure'])
  expect(await found('a_b')).toEqual(['a_b'])
  expect(await found('back\\slash')).toEqual(['back\\slash'])
  expect(await store.logs.list({ teamId: 'other', sandboxId: 'ione', limit: 10 })).toEqual([])
  await store.close()
})
