import { expect, test } from 'vitest'
import { anySandbox, startControl, type TestControl } from '../../tests/support/control.ts'
import type { MeasuredOperation } from '../domain/telemetry.ts'
import { abortable } from '../lib/deadline.ts'
import { connectSandbox } from './connect-sandbox.ts'
import { createSandbox } from './create-sandbox.ts'
import { createExpiry } from './expiry.ts'
import { forkSandbox } from './fork-sandbox.ts'
import { killSandbox } from './kill-sandbox.ts'
import { pauseSandbox } from './pause-sandbox.ts'
import { refreshSandbox, setSandboxTimeout } from './set-timeout.ts'
import { snapshotSandbox } from './snapshot-sandbox.ts'

const signal = () => AbortSignal.timeout(30_000)
const options = () => ({ signal: signal(), phase: () => {} })
const again = { timeoutS: 60, memory: true }
/** Longer than any test; what waits for it has to break off. */
const ageMs = 120_000
const ended = { status: 'rejected', reason: { code: 'not_found' } }

async function isGone({ control, guests, runtime }: TestControl, id: string, reason: string): Promise<void> {
  await control.lifecycle.idle()
  expect(await guests()).toEqual([])
  expect(await control.store.sandboxes.find(id)).toBeUndefined()
  expect(await control.store.builds.list({ isSnapshot: true })).toEqual([])
  expect(await runtime.images.list(signal())).toEqual([])
  const [last] = await control.store.events.list({ sandboxId: id, order: 'desc', limit: 1 })
  expect(last).toMatchObject({ type: 'killed', reason })
}

const untilIn = ({ control }: TestControl, id: string, state: string) =>
  expect.poll(async () => (await control.store.sandboxes.find(id))?.state).toBe(state)

test('a kill breaks off a copy that is under way, and what waits behind it', async () => {
  await using parts = await startControl({ faults: { snapshotDelayMs: ageMs } })
  const { control } = parts
  const ref = await createSandbox(control, anySandbox, options())
  const copying = snapshotSandbox(control, ref, { name: undefined, memory: undefined }, { signal: signal() })
  const forking = forkSandbox(control, ref, { timeoutS: 60, count: 1 }, options())
  const waiting = Promise.allSettled([copying, forking])
  await untilIn(parts, ref.id, 'snapshotting')
  const begun = performance.now()
  await killSandbox(control, ref, signal())
  expect(performance.now() - begun).toBeLessThan(5_000)
  expect(await waiting).toMatchObject([ended, ended])
  await isGone(parts, ref.id, 'request')
})

test('a kill breaks off a resume, while it waits for its admission and while it boots', async () => {
  await using parts = await startControl({ faults: { resumeDelayMs: ageMs } })
  for (const admits of [false, true]) {
    const enter = (_: unknown, until: AbortSignal) => abortable(new Promise<never>(() => {}), until)
    const control = admits
      ? parts.control
      : { ...parts.control, admission: { ...parts.control.admission, enter } }
    const ref = await createSandbox(parts.control, anySandbox, options())
    await pauseSandbox(control, ref, { memory: false }, signal())
    const resuming = Promise.allSettled([connectSandbox(control, ref, again, options())])
    if (admits) await untilIn(parts, ref.id, 'resuming')
    else await expect.poll(() => control.lifecycle.waiting(ref.id)).toBe(1)
    await killSandbox(control, ref, signal())
    expect(await resuming).toMatchObject([ended])
    await isGone(parts, ref.id, 'request')
  }
})

test('a kill that breaks something off is measured with the phases that it has, and told once', async () => {
  const told: MeasuredOperation[] = []
  const telemetry = { operation: (each: MeasuredOperation) => void told.push(each), request() {} }
  await using parts = await startControl({ telemetry })
  const { control } = parts
  const ref = await createSandbox(control, anySandbox, options())
  let finish = () => {}
  const slow = control.lifecycle.exclusive(ref.id, () => new Promise<void>((resolve) => (finish = resolve)))
  const heard: string[] = []
  await killSandbox(control, ref, signal(), { phase: (name) => void heard.push(name) })
  finish()
  await slow
  await control.lifecycle.idle()
  const kills = told.filter(({ operation }) => operation === 'kill')
  expect(kills.map(({ phases }) => phases.map(({ name }) => name))).toEqual([['queue', 'store', 'withdraw']])
  expect(heard).toEqual(['queue', 'store', 'withdraw'])
})

test('a kill is recorded at once and answered, though what is under way takes its time', async () => {
  await using parts = await startControl()
  const { control } = parts
  const ref = await createSandbox(control, anySandbox, options())
  let finish = () => {}
  const slow = control.lifecycle.exclusive(ref.id, () => new Promise<void>((resolve) => (finish = resolve)))
  await killSandbox(control, ref, AbortSignal.timeout(200))
  expect(await control.store.sandboxes.find(ref.id)).toMatchObject({ state: 'killing', endReason: 'request' })
  expect(parts.directory.find(ref.id)).toBeUndefined()
  finish()
  await slow
  await control.lifecycle.idle()
  await isGone(parts, ref.id, 'request')
})

test('no step that is under way leads back from an end', async () => {
  await using parts = await startControl({ faults: { pauseDelayMs: 500 } })
  const { control } = parts
  const ref = await createSandbox(control, anySandbox, options())
  const pausing = Promise.allSettled([pauseSandbox(control, ref, { memory: true }, signal())])
  await untilIn(parts, ref.id, 'pausing')
  await killSandbox(control, ref, signal())
  expect(await pausing).toMatchObject([{ status: 'rejected', reason: { code: 'conflict' } }])
  await isGone(parts, ref.id, 'request')
})

test('a deadline breaks off a copy where it is an end, and waits for it where it is a pause', async () => {
  let now = 1_000_000
  const faults = { snapshotDelayMs: ageMs }
  await using parts = await startControl({ faults, clock: { now: () => now } })
  const { control } = parts
  const expiry = createExpiry(control)
  const copyOf = async (onTimeout: 'kill' | 'pause') => {
    const ref = await createSandbox(control, { ...anySandbox, onTimeout }, options())
    const copying = Promise.allSettled([
      snapshotSandbox(control, ref, { name: undefined, memory: undefined }, { signal: signal() }),
    ])
    await untilIn(parts, ref.id, 'snapshotting')
    return { ref, copying }
  }
  const passing = await copyOf('kill')
  now += 59_999
  await expiry.look()
  await expiry.idle()
  await untilIn(parts, passing.ref.id, 'snapshotting')
  now += 1
  await expiry.look()
  await expiry.idle()
  expect(await passing.copying).toMatchObject([ended])
  await isGone(parts, passing.ref.id, 'timeout')

  faults.snapshotDelayMs = 1_000
  const persistent = await copyOf('pause')
  const { endAt } = persistent.ref
  now = endAt
  await expiry.look()
  expect(await control.store.sandboxes.find(persistent.ref.id)).toMatchObject({
    state: 'snapshotting',
    endAt,
  })
  await expiry.idle()
  expect(await persistent.copying).toMatchObject([{ status: 'fulfilled' }])
  await untilIn(parts, persistent.ref.id, 'paused')
})

test('a deadline is moved while a copy is under way, and counts from the request', async () => {
  let now = 1_000_000
  await using parts = await startControl({ faults: { snapshotDelayMs: ageMs }, clock: { now: () => now } })
  const { control } = parts
  const ref = await createSandbox(control, anySandbox, options())
  const endAt = async () => (await control.store.sandboxes.find(ref.id))?.endAt
  const copying = snapshotSandbox(control, ref, { name: undefined, memory: undefined }, { signal: signal() })
  const outcome = Promise.allSettled([copying])
  await untilIn(parts, ref.id, 'snapshotting')
  await setSandboxTimeout(control, ref, 10, signal())
  expect(await endAt()).toBe(now + 10_000)
  await refreshSandbox(control, ref, 20, signal())
  expect(await endAt()).toBe(now + 20_000)
  await connectSandbox(control, ref, { timeoutS: 30, memory: true }, options())
  expect(await endAt()).toBe(now + 30_000)
  await killSandbox(control, ref, signal())
  await outcome

  const other = await createSandbox(control, anySandbox, options())
  let finish = () => {}
  const busy = control.lifecycle.exclusive(other.id, () => new Promise<void>((resolve) => (finish = resolve)))
  const askedAt = now
  const moving = setSandboxTimeout(control, other, 30, signal())
  await expect(setSandboxTimeout(control, other, 40, AbortSignal.timeout(50))).rejects.toThrow()
  now += 5_000
  finish()
  await Promise.all([busy, moving])
  expect((await control.store.sandboxes.find(other.id))?.endAt).toBe(askedAt + 30_000)
})
