import { expect, test } from 'vitest'
import { anySandbox, startControl, type TestControl } from '../../tests/support/control.ts'
import { ServerError } from '../domain/error.ts'
import type { SandboxNode } from '../domain/node.ts'
import { abortable } from '../lib/deadline.ts'
import { silentLog } from '../lib/log.ts'
import { createWaiter } from '../lib/waiter.ts'
import { connectSandbox } from './connect-sandbox.ts'
import type { ControlContext } from './context.ts'
import { createSandbox } from './create-sandbox.ts'
import { createEndings } from './endings.ts'
import { killSandbox } from './kill-sandbox.ts'
import { createLifecycle } from './lifecycle.ts'
import { listSandboxes } from './list-sandboxes.ts'
import { pauseSandbox } from './pause-sandbox.ts'
import { reconcile } from './reconcile.ts'
import { snapshotSandbox } from './snapshot-sandbox.ts'

const signal = () => AbortSignal.timeout(30_000)
const options = () => ({ signal: signal(), phase: () => {} })

/** The control plane with another way to end a guest. */
function withDestroy(
  { control }: TestControl,
  destroy: SandboxNode['destroy'],
  bounds: { parallel?: number; backlogMax?: number; calmMs?: number } = {},
): ControlContext {
  const node = { ...control.node, destroy }
  const lifecycle = createLifecycle({ ...control, node })
  const { telemetry } = control
  return {
    ...control,
    node,
    lifecycle,
    endings: createEndings({ lifecycle, telemetry, log: silentLog, ...bounds }),
  }
}

const eventsOf = async ({ control }: TestControl, id: string) =>
  (await control.store.events.list({ sandboxId: id, limit: 10 })).map(({ type }) => type)

test('a kill answers before its guest is gone, and what has ended is nowhere to be found', async () => {
  await using parts = await startControl()
  const opened = createWaiter()
  const open = opened.wait()
  const control = withDestroy(parts, async (handle, until) => {
    await open
    await parts.control.node.destroy(handle, until)
  })
  const request = { ...anySandbox, idempotencyKey: 'again' }
  const ref = await createSandbox(control, request, options())
  await killSandbox(control, ref, signal())
  expect(parts.directory.find(ref.id)).toBeUndefined()
  expect(await eventsOf(parts, ref.id)).toEqual(['created', 'killed'])
  expect(await control.store.sandboxes.find(ref.id)).toMatchObject({ state: 'killing', endReason: 'request' })
  await expect.poll(() => control.endings.backlog()).toEqual({ waiting: 0, running: 1 })

  const gone = { code: 'not_found' }
  await expect(killSandbox(control, ref, signal())).rejects.toMatchObject(gone)
  await expect(connectSandbox(control, ref, { timeoutS: 60, memory: true }, options())).rejects.toMatchObject(
    gone,
  )
  const pausing = { memory: true, requireHealthyGuest: true }
  await expect(pauseSandbox(control, ref, pausing, signal())).rejects.toMatchObject(gone)
  const copying = { name: undefined, memory: undefined }
  await expect(snapshotSandbox(control, ref, copying, { signal: signal() })).rejects.toMatchObject(gone)
  const listing = { teamId: 'team', states: ['running', 'paused'], limit: 10 } as const
  expect((await listSandboxes(control, listing)).sandboxes).toEqual([])
  expect((await createSandbox(control, request, options())).id).not.toBe(ref.id)

  opened.wake()
  await control.endings.idle()
  expect(await control.store.sandboxes.find(ref.id)).toBeUndefined()
  expect(await parts.guests()).not.toContain(ref.id)
  expect(await eventsOf(parts, ref.id)).toEqual(['created', 'killed'])
})

test('what is left of an end waits for others to come, and not for long', async () => {
  await using parts = await startControl()
  const control = withDestroy(parts, parts.control.node.destroy, { calmMs: 600_000 })
  const refs = await Promise.all([1, 2].map(() => createSandbox(control, anySandbox, options())))
  for (const ref of refs) await killSandbox(control, ref, signal())
  expect(control.endings.backlog()).toEqual({ waiting: 2, running: 0 })
  await control.endings.idle()
  expect(await parts.guests()).toEqual([])
})

test('so many at a time, so many wait, and then answers do, for as long as their callers', async () => {
  await using parts = await startControl()
  const opened = createWaiter()
  const open = opened.wait()
  const bounds = { parallel: 1, backlogMax: 2 }
  const control = withDestroy(
    parts,
    async (handle, until) => {
      await open
      await parts.control.node.destroy(handle, until)
    },
    bounds,
  )
  const refs = []
  for (let i = 0; i < 4; i++) refs.push(await createSandbox(control, anySandbox, options()))
  const [first, second, third, fourth] = refs
  await killSandbox(control, first!, signal())
  await killSandbox(control, second!, signal())
  let answered = false
  const waits = killSandbox(control, third!, signal()).then(() => {
    answered = true
  })
  // It is recorded all the same, so its caller may leave.
  await killSandbox(control, fourth!, AbortSignal.timeout(100))
  expect(control.endings.backlog()).toEqual({ waiting: 1, running: 1 })
  expect(answered).toBe(false)
  for (const { id } of refs) expect(await eventsOf(parts, id)).toEqual(['created', 'killed'])
  opened.wake()
  await waits
  await control.endings.idle()
  expect((await control.store.sandboxes.list({})).map(({ id }) => id)).toEqual([fourth!.id])
  await reconcile(control, signal())
  expect(await control.store.sandboxes.list({})).toEqual([])
  expect(await parts.guests()).toEqual([])
})

test('what fails, or a stop leaves, is a record that reconciliation carries out', async () => {
  await using parts = await startControl()
  const away = withDestroy(parts, async () => {
    throw new ServerError('unavailable', 'The engine is away.')
  })
  const failed = await createSandbox(away, anySandbox, options())
  await killSandbox(away, failed, signal())
  await away.endings.idle()
  const stopped = withDestroy(parts, (_, until) => abortable(new Promise<void>(() => {}), until))
  const left = await createSandbox(stopped, anySandbox, options())
  await killSandbox(stopped, left, signal())
  stopped.endings.abandon()
  await stopped.endings.idle()
  const rows = await parts.control.store.sandboxes.list({ states: ['killing'] })
  expect(rows.map(({ id }) => id).toSorted()).toEqual([failed.id, left.id].toSorted())
  expect(await parts.guests()).toHaveLength(2)
  await reconcile(parts.control, signal())
  expect(await parts.control.store.sandboxes.list({})).toEqual([])
  expect(await parts.guests()).toEqual([])
  for (const { id } of [failed, left]) expect(await eventsOf(parts, id)).toEqual(['created', 'killed'])
})
