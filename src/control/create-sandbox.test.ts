import { expect, test } from 'vitest'
import { anySandbox, startControl } from '../../tests/support/control.ts'
import { createSandbox } from './create-sandbox.ts'

const quiet = { signal: AbortSignal.timeout(60_000), phase: () => {} }

test('a created sandbox takes traffic, and its start isn’t charged to its lifetime', async () => {
  await using parts = await startControl({ faults: { startDelayMs: 300 } })
  const phases: string[] = []
  const sandbox = await createSandbox(parts.control, anySandbox, {
    ...quiet,
    phase: (name) => phases.push(name),
  })
  expect(sandbox.endAt - Date.now()).toBeGreaterThan(59_500)
  expect(sandbox.endAt - sandbox.startedAt).toBe(60_000)
  expect(parts.directory.find(sandbox.id)?.id).toBe(sandbox.id)
  expect(await parts.control.store.sandboxes.find(sandbox.id)).toEqual(sandbox)
  expect(phases).toEqual(['template', 'admission', 'store', 'agent', 'configure', 'record'])
})

test('a failed start leaves neither row nor guest', async () => {
  await using parts = await startControl({ faults: { failStart: true } })
  await expect(createSandbox(parts.control, anySandbox, quiet)).rejects.toMatchObject({
    code: 'internal',
    errorCode: 'sandbox_create_failed',
    message: expect.stringMatching(/^Failed to place sandbox: /),
  })
  expect(await parts.control.store.sandboxes.list({})).toEqual([])
  expect(await parts.guests()).toEqual([])
})

test('a client that leaves during the start leaves nothing behind', async () => {
  await using parts = await startControl({ faults: { startDelayMs: 10_000 } })
  const leaving = new AbortController()
  const creating = createSandbox(parts.control, anySandbox, { ...quiet, signal: leaving.signal })
  await expect.poll(() => parts.guests()).toHaveLength(1)
  leaving.abort(new DOMException('The client left.', 'AbortError'))
  await expect(creating).rejects.toMatchObject({ code: 'canceled' })
  expect(await parts.control.store.sandboxes.list({})).toEqual([])
  expect(await parts.guests()).toEqual([])
})

test('a start that takes too long says so by E2B’s name', async () => {
  await using parts = await startControl({ faults: { startDelayMs: 10_000 } })
  const creating = createSandbox(parts.control, anySandbox, { ...quiet, signal: AbortSignal.timeout(200) })
  await expect(creating).rejects.toMatchObject({
    code: 'deadline_exceeded',
    errorCode: 'sandbox_placement_timeout',
    message: expect.stringMatching(/^Failed to place sandbox: /),
  })
})

test('an unknown template makes nothing', async () => {
  await using parts = await startControl()
  for (const template of ['nope', 'base:other', '']) {
    const creating = createSandbox(parts.control, { ...anySandbox, template }, quiet)
    await expect(creating).rejects.toMatchObject({ code: 'not_found' })
  }
  expect(await parts.control.store.sandboxes.list({})).toEqual([])
})

test('a start that fails is told of, once, and leaves nothing', async () => {
  await using parts = await startControl({ faults: { failStart: true } })
  const { control } = parts
  const creating = createSandbox(control, anySandbox, {
    signal: AbortSignal.timeout(20_000),
    phase: () => {},
  })
  await expect(creating).rejects.toMatchObject({ code: 'internal' })
  expect(await control.store.sandboxes.list({})).toEqual([])
  expect(await parts.guests()).toEqual([])
  const events = await control.store.events.list({ limit: 10 })
  expect(events).toMatchObject([
    {
      type: 'failed',
      reason: 'start',
      detail: { message: 'The sandbox could not be started (requested fault).' },
    },
  ])
})
