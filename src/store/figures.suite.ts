/** The part of the store's contract that is about figures, samples and logs; `store.suite.ts` runs it. */
import { expect, test } from 'vitest'
import type { Store } from '../domain/store.ts'
import { sandbox } from './sandbox.fixture.ts'

export function testFigures(store: () => Store): void {
  test('what sandboxes of certain states are allowed together, by team', async () => {
    const rows = [
      sandbox({ id: 'i1', state: 'running', cpuCount: 2, memoryMb: 512 }),
      sandbox({ id: 'i2', state: 'running', cpuCount: 1, memoryMb: 128 }),
      sandbox({ id: 'i3', state: 'paused', cpuCount: 8, memoryMb: 4096 }),
      sandbox({ id: 'i4', state: 'running', teamId: 'blue', cpuCount: 4, memoryMb: 1024 }),
    ]
    for (const row of rows) await store().sandboxes.create(row)
    const blue = { teamId: 'blue', sandboxes: 1, cpuCount: 4, memoryMb: 1024 }
    const red = { teamId: 'red', sandboxes: 2, cpuCount: 3, memoryMb: 640 }
    expect(await store().sandboxes.usage({ states: ['running'] })).toEqual([blue, red])
    expect(await store().sandboxes.usage({ teamId: 'red', states: ['running'] })).toEqual([red])
    expect(await store().sandboxes.usage({ teamId: 'red', states: ['killing'] })).toEqual([])
  })

  test('samples are put together by steps, and the largest is found', async () => {
    const at = (time: number, runningSandboxes: number, startsPerSecond: number, teamId = 'red') => ({
      teamId,
      at: time,
      runningSandboxes,
      startsPerSecond,
    })
    await store().teamSamples.add([
      at(1_000, 3, 0.5),
      at(1_999, 1, 2),
      at(2_000, 3, 0),
      at(3_500, 9, 9, 'blue'),
    ])
    await store().teamSamples.add([])
    const all = { teamId: 'red', from: 0, to: 10_000 }
    expect(await store().teamSamples.list({ ...all, stepMs: 1_000 })).toEqual([
      at(1_999, 3, 2),
      at(2_000, 3, 0),
    ])
    expect(await store().teamSamples.list({ ...all, from: 1_999, to: 1_999, stepMs: 1 })).toEqual([
      at(1_999, 1, 2),
    ])
    expect(await store().teamSamples.max({ ...all, figure: 'runningSandboxes' })).toEqual(at(2_000, 3, 0))
    expect(await store().teamSamples.max({ ...all, figure: 'startsPerSecond' })).toEqual(at(1_999, 1, 2))
    expect(await store().teamSamples.max({ ...all, from: 5_000, figure: 'startsPerSecond' })).toBeUndefined()
    await store().teamSamples.removeBefore(2_000)
    expect(await store().teamSamples.list({ ...all, stepMs: 1_000 })).toEqual([at(2_000, 3, 0)])
  })

  test('a node is ready until it is said to be draining', async () => {
    expect(await store().nodeStatus.get('one')).toBe('ready')
    await store().nodeStatus.set('one', 'draining')
    expect(await store().nodeStatus.get('one')).toBe('draining')
    expect(await store().nodeStatus.get('two')).toBe('ready')
    await store().nodeStatus.set('one', 'ready')
    expect(await store().nodeStatus.get('one')).toBe('ready')
  })

  test('a guest that was started ahead is known until it is removed', async () => {
    await store().warmGuests.add('i1')
    await store().warmGuests.add('i2')
    await store().warmGuests.remove('i1')
    await store().warmGuests.remove('i1')
    expect(await store().warmGuests.list()).toEqual(['i2'])
  })
}

export function testSandboxMetrics(store: () => Store): void {
  const sample = (sandboxId: string, at: number) => ({
    sandboxId,
    at,
    cpuCount: 2,
    cpuUsedPct: 12.5,
    memUsed: 1,
    memTotal: 2 ** 40,
    memCache: 3,
    diskUsed: 4,
    diskTotal: 5,
  })
  const times = async (sandboxId: string) =>
    (await store().sandboxMetrics.list({ sandboxId, from: 0, to: 1e15, limit: 100 })).map(({ at }) => at)

  test('come back as they were stored, oldest first, the newest of too many', async () => {
    await store().sandboxMetrics.add([
      sample('ione', 3),
      sample('ione', 1),
      sample('ione', 2),
      sample('itwo', 9),
    ])
    const list = (from: number, to: number, limit: number) =>
      store().sandboxMetrics.list({ sandboxId: 'ione', from, to, limit })
    expect(await list(1, 3, 100)).toEqual([sample('ione', 1), sample('ione', 2), sample('ione', 3)])
    expect(await list(1, 2, 100)).toEqual([sample('ione', 1), sample('ione', 2)])
    expect(await list(1, 3, 2)).toEqual([sample('ione', 2), sample('ione', 3)])
    const latest = await store().sandboxMetrics.latest(['itwo', 'ione', 'inone'])
    expect(new Set(latest)).toEqual(new Set([sample('ione', 3), sample('itwo', 9)]))
    expect(await store().sandboxMetrics.latest([])).toEqual([])
  })

  test('of each step the first is kept, also where a range begins within a step', async () => {
    await store().sandboxMetrics.add([0, 5, 10, 15, 20, 25, 30].map((at) => sample('ione', at)))
    await store().sandboxMetrics.add([12, 14].map((at) => sample('itwo', at)))
    await store().sandboxMetrics.thin({ from: 5, before: 25, stepMs: 10 })
    expect(await times('ione')).toEqual([0, 10, 20, 25, 30])
    expect(await times('itwo')).toEqual([12])
    await store().sandboxMetrics.thin({ from: 25, before: 31, stepMs: 10 })
    expect(await times('ione')).toEqual([0, 10, 20, 30])
  })

  test('old ones go, and those of sandboxes that are gone', async () => {
    await store().sandboxes.create(sandbox({ id: 'ione' }))
    await store().sandboxes.create(sandbox({ id: 'ithree' }))
    for (const id of ['ione', 'itwo', 'ithree', 'izero'])
      await store().sandboxMetrics.add([sample(id, 5), sample(id, 6)])
    await store().sandboxMetrics.trim(6)
    const left = await Promise.all(['ione', 'itwo', 'ithree', 'izero'].map(times))
    expect(left).toEqual([[6], [], [6], []])
    await store().sandboxes.remove('ione')
    await store().sandboxes.remove('ithree')
    await store().sandboxMetrics.trim(6)
    await store().sandboxMetrics.trim(6)
    expect(await times('ione')).toEqual([])
  })
}

export function testLogs(store: () => Store): void {
  const entry = (sandboxId: string, at: number, message = `at ${at}`) => ({
    teamId: 'red',
    sandboxId,
    at,
    level: 'info' as const,
    message,
    fields: { logger: 'process' },
  })
  const times = async (sandboxId: string) =>
    (await store().logs.list({ teamId: 'red', sandboxId, limit: 100 })).map(({ at }) => at)

  test('of sandboxes that are gone go sooner', async () => {
    await store().sandboxes.create(sandbox({ id: 'ione' }))
    await store().logs.add([1, 5, 9].flatMap((at) => [entry('ione', at), entry('itwo', at)]))
    await store().logs.trim({ before: 2, endedBefore: 6 })
    expect(await times('ione')).toEqual([5, 9])
    expect(await times('itwo')).toEqual([9])
  })

  test('are cut to their newest, by number and by length', async () => {
    await store().logs.add([1, 2, 3, 4].flatMap((at) => [entry('ione', at), entry('itwo', at)]))
    await store().logs.trimSandbox('ione', { entries: 3, characters: 1e6 })
    expect(await times('ione')).toEqual([2, 3, 4])
    const length = 'at 4'.length + JSON.stringify({ logger: 'process' }).length
    await store().logs.trimSandbox('ione', { entries: 3, characters: 2 * length })
    expect(await times('ione')).toEqual([3, 4])
    await store().logs.trimSandbox('ione', { entries: 3, characters: 2 * length })
    expect(await times('ione')).toEqual([3, 4])
    expect(await times('itwo')).toEqual([1, 2, 3, 4])
  })
}
