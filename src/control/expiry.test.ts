import { afterEach, beforeEach, expect, test } from 'vitest'
import { anySandbox, startControl, type TestControl } from '../../tests/support/control.ts'
import { connectSandbox } from './connect-sandbox.ts'
import { createSandbox } from './create-sandbox.ts'
import { runExpiry } from './expiry.ts'
import { setSandboxTimeout } from './set-timeout.ts'

/** A wall clock that the test sets. */
let now: number
let parts: TestControl
let stopping: AbortController
let running: Promise<void>
beforeEach(async () => {
  now = 1_000_000
  parts = await startControl({ clock: { now: () => now } })
  stopping = new AbortController()
  running = runExpiry(parts.control, stopping.signal)
})
afterEach(async () => {
  stopping.abort()
  await running
  await parts[Symbol.asyncDispose]()
})

const quiet = { signal: AbortSignal.timeout(60_000), phase: () => {} }
const lives = (id: string) => parts.directory.find(id) !== undefined
/** Longer than the time between two looks. */
const twoLooks = () => new Promise((resolve) => setTimeout(resolve, 600))

test('not a moment before the deadline, and within a second after it', async () => {
  const { id, endAt } = await createSandbox(parts.control, anySandbox, quiet)
  now = endAt - 1
  await twoLooks()
  expect(lives(id)).toBe(true)
  now = endAt
  await expect.poll(() => lives(id), { timeout: 1_000 }).toBe(false)
  await expect.poll(() => parts.guests()).toEqual([])
  await expect.poll(() => parts.control.store.sandboxes.list({})).toEqual([])
})

test('a deadline that was moved counts where it is now', async () => {
  const ref = { teamId: 'team', id: (await createSandbox(parts.control, anySandbox, quiet)).id }
  const connected = await connectSandbox(parts.control, ref, { timeoutS: 600, memory: true }, quiet)
  expect(connected.sandbox.endAt).toBe(now + 600_000)
  now += 590_000
  await twoLooks()
  expect(lives(ref.id)).toBe(true)
  await setSandboxTimeout(parts.control, ref, 0, quiet.signal)
  await expect.poll(() => lives(ref.id), { timeout: 1_000 }).toBe(false)
})

test('a clock that jumps back ends nothing', async () => {
  const { id } = await createSandbox(parts.control, anySandbox, quiet)
  now -= 3_600_000
  await twoLooks()
  expect(lives(id)).toBe(true)
})
