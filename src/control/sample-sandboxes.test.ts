import { expect, test } from 'vitest'
import { anySandbox, startControl } from '../../tests/support/control.ts'
import { resumeSandbox } from './connect-sandbox.ts'
import { createSandbox } from './create-sandbox.ts'
import { killSandbox } from './kill-sandbox.ts'
import { pauseSandbox } from './pause-sandbox.ts'
import { createSampler, createTrimmer } from './sample-sandboxes.ts'
import { latestMetrics, sandboxMetrics } from './sandbox-metrics.ts'

const quiet = { signal: AbortSignal.timeout(60_000), phase: () => {} }
const minute = 60_000
const hour = 60 * minute

test('running sandboxes are sampled, old samples thinned out, those of the dead dropped', async () => {
  let now = 1_800_000_000_000
  await using parts = await startControl({ clock: { now: () => now } })
  const { control } = parts
  const look = createSampler(control)
  const sample = () => look(quiet.signal)
  const ref = { teamId: 'team', id: (await createSandbox(control, anySandbox, quiet)).id }
  const started = now
  const trim = createTrimmer(control)
  for (let i = 0; i < 12; i++) {
    await sample()
    now += 5_000
  }
  const all = await sandboxMetrics(control, ref, {})
  expect(all.map(({ at }) => at)).toEqual(Array.from({ length: 12 }, (_, i) => started + i * 5_000))
  expect(all[0]).toMatchObject({ cpuCount: expect.any(Number), memTotal: expect.any(Number) })
  expect(await sandboxMetrics(control, ref, { to: started - 1 })).toEqual([])
  expect(await latestMetrics(control, { teamId: 'team', ids: [ref.id, 'inone'] })).toEqual([all.at(-1)])
  expect(await latestMetrics(control, { teamId: 'other', ids: [ref.id] })).toEqual([])
  await expect(sandboxMetrics(control, { ...ref, teamId: 'other' }, {})).rejects.toMatchObject({
    code: 'not_found',
  })

  // A paused one has no new samples, and keeps its old ones.
  await pauseSandbox(control, ref, { memory: true }, quiet.signal)
  await sample()
  expect(await sandboxMetrics(control, ref, {})).toHaveLength(12)

  // An hour later one is left of each half minute, a week later none.
  now = started + hour + 2 * minute
  await trim(quiet.signal)
  const steps = (await sandboxMetrics(control, ref, {})).map(({ at }) => Math.floor(at / 30_000))
  expect(new Set(steps).size).toBe(steps.length)
  expect(steps.length).toBeLessThanOrEqual(3)
  now = started + 8 * 24 * hour
  await trim(quiet.signal)
  expect(await sandboxMetrics(control, ref, {})).toEqual([])

  await killSandbox(control, ref, quiet.signal)
  await control.endings.idle()
  await control.store.sandboxMetrics.add([{ ...all[0]!, at: now }])
  await trim(quiet.signal)
  expect(await control.store.sandboxMetrics.latest([ref.id])).toEqual([])
})

test('a sandbox that has just started is asked at once, and only for a time that it is now', async () => {
  const now = 1_800_000_000_000
  await using parts = await startControl({ clock: { now: () => now } })
  const { control } = parts
  const ref = { teamId: 'team', id: (await createSandbox(control, anySandbox, quiet)).id }
  const samples = await sandboxMetrics(control, ref, {})
  expect(samples).toMatchObject([{ sandboxId: ref.id, at: now, memTotal: expect.any(Number) }])
  expect(await sandboxMetrics(control, ref, { to: now - 1 })).toEqual([])
  expect(await sandboxMetrics(control, ref, { from: now + 1 })).toEqual([])
  await pauseSandbox(control, ref, { memory: true }, quiet.signal)
  expect(await sandboxMetrics(control, ref, {})).toEqual([])
})

test('each sandbox is sampled every five seconds from its start or its resume on', async () => {
  let now = 1_800_000_000_000
  await using parts = await startControl({ clock: { now: () => now } })
  const { control } = parts
  const look = createSampler(control)
  const begun = now
  const create = async () => ({
    teamId: 'team',
    id: (await createSandbox(control, anySandbox, quiet)).id,
  })
  const seconds = async (ref: { teamId: string; id: string }) =>
    (await sandboxMetrics(control, ref, {})).map(({ at }) => (at - begun) / 1_000)
  const wait = async (looks: number) => {
    for (let i = 0; i < looks; i++) {
      await look(quiet.signal)
      now += 1_000
    }
  }

  const first = await create()
  await wait(3)
  const second = await create()
  await wait(3)
  expect(await seconds(first)).toEqual([0, 5])
  expect(await seconds(second)).toEqual([3])
  await pauseSandbox(control, first, { memory: true }, quiet.signal)
  await wait(1)
  await resumeSandbox(control, first, { timeoutS: 60, memory: true, autoPause: undefined }, quiet)
  await wait(1)
  expect(await seconds(first)).toEqual([0, 5, 7])
  // A clock that was set back by an hour.
  now -= 3_600_000
  await wait(1)
  expect(await seconds(second)).toEqual([8 - 3_600, 3])
})
