import { expect, test } from 'vitest'
import { anySandbox, startControl } from '../../tests/support/control.ts'
import { checkLifetime, clampEnd } from './check-lifetime.ts'
import { connectSandbox } from './connect-sandbox.ts'
import { createSandbox } from './create-sandbox.ts'
import { refreshSandbox, setSandboxTimeout } from './set-timeout.ts'

const quiet = { signal: AbortSignal.timeout(60_000), phase: () => {} }

test('a lifetime is refused beyond the limit, and a deadline held to it', () => {
  expect(() => checkLifetime({ lifetimeS: 60 }, 60)).not.toThrow()
  expect(() => checkLifetime({ lifetimeS: null }, 2 ** 31)).not.toThrow()
  expect(() => checkLifetime({ lifetimeS: 60 }, 61)).toThrow(/60 s/)
  expect(clampEnd({ lifetimeS: 60 }, 1_000, 60_999)).toBe(60_999)
  expect(clampEnd({ lifetimeS: 60 }, 1_000, 61_001)).toBe(61_000)
  expect(clampEnd({ lifetimeS: null }, 1_000, 1e15)).toBe(1e15)
})

test('no way of extending leads beyond the longest life', async () => {
  let now = 1_000_000
  await using parts = await startControl({ clock: { now: () => now } })
  const { control } = parts
  await control.store.teams.setLimits('team', { lifetimeS: 100 })
  await expect(createSandbox(control, { ...anySandbox, timeoutS: 101 }, quiet)).rejects.toMatchObject({
    code: 'invalid_argument',
  })
  const { id, startedAt } = await createSandbox(control, { ...anySandbox, timeoutS: 60 }, quiet)
  const ref = { teamId: 'team', id }
  const latest = startedAt + 100_000
  const endAt = async () => (await control.store.sandboxes.find(id))?.endAt
  now += 50_000
  await refreshSandbox(control, ref, 60, quiet.signal)
  expect(await endAt()).toBe(latest)
  await setSandboxTimeout(control, ref, 10, quiet.signal)
  expect(await endAt()).toBe(now + 10_000)
  await setSandboxTimeout(control, ref, 1_000, quiet.signal)
  expect(await endAt()).toBe(latest)
  const [told] = await control.store.events.list({
    sandboxId: id,
    types: ['updated'],
    order: 'desc',
    limit: 1,
  })
  expect(told).toMatchObject({ reason: 'timeout', detail: { set_timeout: new Date(latest).toISOString() } })
  await setSandboxTimeout(control, ref, 10, quiet.signal)
  const { sandbox } = await connectSandbox(control, ref, { timeoutS: 100, memory: true }, quiet)
  expect(sandbox.endAt).toBe(latest)
  await expect(connectSandbox(control, ref, { timeoutS: 101, memory: true }, quiet)).rejects.toMatchObject({
    code: 'invalid_argument',
  })
})
