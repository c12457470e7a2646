import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Store } from '../domain/store.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { ConfigError } from './config.ts'
import { changeLimits, createTeam, ensureTeam, listTeams, requireTeam } from './teams.ts'

let store: Store
beforeEach(async () => {
  store = await openSqliteStore({ path: ':memory:' })
})
afterEach(() => store.close())

test('a server has a first team, and then more, by slug or id', async () => {
  const first = await ensureTeam(store)
  expect(await ensureTeam(store)).toBe(first)
  const made = await createTeam(store, 'ml_team-2', 'Machine learning')
  expect(made).toMatchObject({ slug: 'ml_team-2', name: 'Machine learning' })
  expect((await listTeams(store)).map(({ slug }) => slug)).toEqual(['default', 'ml_team-2'])
  for (const name of ['ml_team-2', made.id]) expect((await requireTeam(store, name)).id).toBe(made.id)
  await expect(requireTeam(store, 'nobody')).rejects.toThrow(/teams list/)
  await expect(createTeam(store, 'default', undefined)).rejects.toMatchObject({ code: 'conflict' })
})

test.each(['', 'Upper', '-dash', 'with/slash', 'with:colon', 'x'.repeat(64)])(
  '%j is no slug',
  async (slug) => {
    await expect(createTeam(store, slug, undefined)).rejects.toThrow(ConfigError)
  },
)

test('limits are set one by one, lifted, and left to the server again', async () => {
  await createTeam(store, 'a', undefined)
  const limits = async () => (await requireTeam(store, 'a')).limits
  await changeLimits(store, 'a', { sandboxes: '5', lifetimeHours: '0.5', createsPerSecond: '0.2' })
  expect(await limits()).toEqual({ runningSandboxes: 5, lifetimeS: 1800, createsPerSecond: 0.2 })
  const row = await changeLimits(store, 'a', { sandboxes: 'unlimited', lifetimeHours: 'default', vcpu: '4' })
  expect(await limits()).toEqual({ runningSandboxes: null, createsPerSecond: 0.2, vcpu: 4 })
  expect(row.limits).toEqual({
    sandboxes: 'unlimited',
    vcpu: '4',
    'memory-mb': 'default',
    'creates-per-second': '0.2',
    'lifetime-hours': 'default',
  })
})

test.each([
  [{ sandboxes: '0' }, '--sandboxes must be more than 0'],
  [{ vcpu: '1.5' }, '--vcpu must be a whole number'],
  [{ memoryMb: 'much' }, '--memory-mb must be a number'],
  [{ lifetimeHours: '-1' }, '--lifetime-hours must be more than 0'],
])('%j is refused by name', async (flags, message) => {
  await createTeam(store, 'a', undefined)
  await expect(changeLimits(store, 'a', flags)).rejects.toThrow(message)
})
