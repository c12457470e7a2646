import { expect, test } from 'vitest'
import { buildOf, startControl, templateOf } from '../../tests/support/control.ts'
import { reconcile } from './reconcile.ts'

const hourMs = 3_600_000

test('what a crash broke off and what was never started ends; what waits or is ready is left', async () => {
  const now = 1_800_000_000_000
  await using parts = await startControl({ clock: { now: () => now } })
  const { control } = parts
  const { builds } = control.store
  const template = templateOf({ id: 'mine' })
  const rows = [
    buildOf({ templateId: 'mine', status: 'building', image: null, createdAt: now - 3 * hourMs }),
    buildOf({ templateId: 'mine', status: 'waiting', image: null, createdAt: now - 3 * hourMs }),
    buildOf({ templateId: 'mine', status: 'waiting', image: null, createdAt: now - hourMs }),
    buildOf({ templateId: 'mine', status: 'ready', createdAt: now - 9 * hourMs }),
  ] as const
  for (const [index, row] of rows.entries()) await builds.create(row, index === 0 ? { template } : {})
  await reconcile(control, AbortSignal.timeout(20_000))
  const found = await Promise.all(rows.map(({ id }) => builds.find(id)))
  expect(found.map((build) => [build?.status, build?.reason?.message ?? null])).toEqual([
    ['error', expect.stringContaining('The server ended while this build ran')],
    ['error', 'It was never started.'],
    ['waiting', null],
    ['ready', null],
  ])
  expect(found[0]?.finishedAt).toBe(now)
})
