import { expect, test } from 'vitest'
import { anySandbox, buildOf, rowOf, startControl, templateOf } from '../../tests/support/control.ts'
import { sleep } from '../lib/deadline.ts'
import { createSandbox } from './create-sandbox.ts'
import { killSandbox } from './kill-sandbox.ts'
import { reconcile, runtimeListener } from './reconcile.ts'

const quiet = { signal: AbortSignal.timeout(60_000), phase: () => {} }
const spec = {
  image: 'none',
  cpuCount: 1,
  memoryMb: 128,
  diskMb: 1024,
  hostname: 'h',
  egress: 'open',
} as const

test('every remainder of a crash is settled, and what is well is left alone', async () => {
  await using parts = await startControl()
  const { control, runtime } = parts
  const well = await createSandbox(control, anySandbox, quiet)
  const startGuest = (sandboxId: string) => runtime.start({ ...spec, sandboxId }, quiet.signal)

  // Killed after the guest had started, before its handle was recorded.
  await startGuest('ihalfmade')
  await control.store.sandboxes.create(rowOf({ id: 'ihalfmade', state: 'creating' }))
  // Killed before the guest was started.
  await control.store.sandboxes.create(rowOf({ id: 'inotmade', state: 'creating' }))
  // Killed in the middle of a kill.
  const handle = await startGuest('ihalfkilled')
  await control.store.sandboxes.create(rowOf({ id: 'ihalfkilled', state: 'killing', handle }))
  // Died while nobody watched.
  const dead = await startGuest('idead')
  await runtime.destroy(dead, quiet.signal)
  await control.store.sandboxes.create(rowOf({ id: 'idead', state: 'running', handle: dead }))
  // Nobody's.
  await startGuest('inobodys')
  expect(await parts.guests()).toHaveLength(4)

  await reconcile(control, quiet.signal)
  expect(await parts.guests()).toEqual([well.id])
  expect((await control.store.sandboxes.list({})).map(({ id }) => id)).toEqual([well.id])
  expect(parts.directory.find(well.id)).toBeDefined()
  const [told] = await control.store.events.list({ sandboxId: 'ihalfmade', limit: 10 })
  expect(told).toMatchObject({ type: 'failed', reason: 'start' })
})

test('what nobody owns is left for a while, and what is owned by then stays', async () => {
  await using parts = await startControl({ orphanGraceMs: 300 })
  const { control, runtime } = parts
  const known = await createSandbox(control, anySandbox, quiet)
  const forgotten = await runtime.start({ ...spec, sandboxId: 'iforgotten' }, quiet.signal)
  await runtime.start({ ...spec, sandboxId: 'inobodys' }, quiet.signal)
  await runtime.snapshot(forgotten, 'e2b-server/snapshot:nobodys', quiet.signal)
  const pass = () => reconcile(control, quiet.signal)
  await pass()
  await pass()
  expect(await parts.guests()).toEqual([known.id, 'iforgotten', 'inobodys'].sort())
  expect(await runtime.images.list(quiet.signal)).toHaveLength(1)
  // As when the store is put back in time.
  await control.store.sandboxes.create(rowOf({ id: 'iforgotten', state: 'running', handle: forgotten }))
  await sleep(310)
  await pass()
  expect(await parts.guests()).toEqual([known.id, 'iforgotten'].sort())
  expect(await runtime.images.list(quiet.signal)).toEqual([])
  // One that is missing in between counts anew.
  await control.store.sandboxes.remove('iforgotten')
  await pass()
  expect(await parts.guests()).toContain('iforgotten')
})

test('an incomplete copy is nobody’s orphan: it goes with its row', async () => {
  await using parts = await startControl({ orphanGraceMs: 60_000 })
  const { control, runtime } = parts
  const { id, handle } = await createSandbox(control, anySandbox, quiet)
  const image = 'e2b-server/snapshot:half'
  await runtime.snapshot(handle!, image, quiet.signal)
  const { store } = control
  const row = (await store.sandboxes.find(id))!
  const template = templateOf({ id: 'half', kind: 'snapshot' })
  const origin = { sandboxId: id, templateId: row.templateId }
  await store.builds.create(buildOf({ templateId: 'half', status: 'building', image, origin }), { template })
  await reconcile(control, quiet.signal)
  expect(await store.builds.list({ isSnapshot: true })).toEqual([])
  expect(await store.templates.find('half')).toBeUndefined()
  expect(await runtime.images.list(quiet.signal)).toEqual([])
})

test('a create that is under way is not taken for a remainder', async () => {
  await using parts = await startControl({ faults: { startDelayMs: 500 } })
  const creating = createSandbox(parts.control, anySandbox, quiet)
  await expect.poll(() => parts.guests()).toHaveLength(1)
  await reconcile(parts.control, quiet.signal)
  const sandbox = await creating
  expect(parts.directory.find(sandbox.id)).toBeDefined()
  expect(await parts.guests()).toEqual([sandbox.id])
})

test('a guest that dies is recorded as gone, and its traffic ends', async () => {
  await using parts = await startControl({ faults: { dieAfterMs: 100 } })
  const watching = new AbortController()
  parts.runtime.watch(runtimeListener(parts.control), watching.signal)
  const sandbox = await createSandbox(parts.control, anySandbox, quiet)
  const gone = parts.directory.find(sandbox.id)?.gone
  await expect.poll(() => parts.control.store.sandboxes.find(sandbox.id)).toBeUndefined()
  expect(parts.directory.find(sandbox.id)).toBeUndefined()
  expect(gone?.aborted).toBe(true)
  watching.abort()
})

test('a second kill, and another team’s, find nothing', async () => {
  await using parts = await startControl()
  const { id } = await createSandbox(parts.control, anySandbox, quiet)
  const kill = (teamId: string) => killSandbox(parts.control, { teamId, id }, quiet.signal)
  await expect(kill('other')).rejects.toMatchObject({ code: 'not_found' })
  expect(await parts.guests()).toEqual([id])
  const [first, second] = await Promise.allSettled([kill('team'), kill('team')])
  expect(first.status).toBe('fulfilled')
  expect(second).toMatchObject({ status: 'rejected', reason: { code: 'not_found' } })
})
