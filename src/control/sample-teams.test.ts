import { afterEach, beforeEach, expect, test } from 'vitest'
import { rowOf } from '../../tests/support/control.ts'
import type { Store } from '../domain/store.ts'
import { silentLog } from '../lib/log.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { createTeamSampler } from './sample-teams.ts'

/** A wall clock that the test sets. */
let now: number
let store: Store
beforeEach(async () => {
  now = 1_000_000
  store = await openSqliteStore({ path: ':memory:' })
})
afterEach(() => store.close())

const sampler = () => createTeamSampler({ store, clock: { now: () => now }, log: silentLog })
const samplesOf = (teamId: string) =>
  store.teamSamples.list({ teamId, from: 0, to: Number.MAX_SAFE_INTEGER, stepMs: 1 })

async function start(id: string, teamId: string): Promise<void> {
  await store.sandboxes.create(rowOf({ id, teamId, state: 'creating' }))
  const event = { teamId, sandboxId: id, templateId: 'base', at: now, reason: null, detail: {} }
  await store.sandboxes.update(id, { state: 'running' }, { event: { ...event, type: 'created' } })
}

test('counts what runs and every start since the look before, by team', async () => {
  await start('iold', 'red')
  const sample = await sampler()
  await start('i1', 'red')
  await start('i2', 'red')
  await store.sandboxes.remove('i2')
  await start('i3', 'blue')
  now += 10_000
  await sample()
  expect(await samplesOf('red')).toEqual([
    { teamId: 'red', at: now, runningSandboxes: 2, startsPerSecond: 0.2 },
  ])
  expect(await samplesOf('blue')).toEqual([
    { teamId: 'blue', at: now, runningSandboxes: 1, startsPerSecond: 0.1 },
  ])
})

test('a team that stops has one sample more, which says so; idle ones have none', async () => {
  const sample = await sampler()
  await sample()
  await start('i1', 'red')
  now += 10_000
  await sample()
  await store.sandboxes.remove('i1')
  for (let looks = 0; looks < 3; looks++) {
    now += 10_000
    await sample()
  }
  expect((await samplesOf('red')).map(({ runningSandboxes }) => runningSandboxes)).toEqual([1, 0])
})

test('keeps a week', async () => {
  const sample = await sampler()
  await start('i1', 'red')
  await sample()
  now += 7 * 24 * 3600_000 + 1
  await sample()
  expect((await samplesOf('red')).map(({ at }) => at)).toEqual([now])
})

test('a time with more starts than are read at once is counted whole', async () => {
  const sample = await sampler()
  for (let index = 0; index < 1_100; index++) {
    await start(`i${index}`, 'red')
    await store.sandboxes.remove(`i${index}`)
  }
  now += 10_000
  await sample()
  expect((await samplesOf('red'))[0]?.startsPerSecond).toBe(110)
})
