import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'

/** A wall clock that the test sets. */
let now: number
let api: TestApi
beforeEach(async () => {
  now = Date.parse('2026-01-02T03:04:05.678Z')
  api = await startApi({ clock: { now: () => now } })
})
afterEach(() => api[Symbol.asyncDispose]())

describe('GET /teams', () => {
  const ask = (headers: Record<string, string>) => api.ask('GET /teams', { headers })

  test('is the key’s own team, and gives back no other key than the one that asked', async () => {
    const mine = { teamID: 'team', name: 'team', apiKey: api.keys.team, isDefault: true }
    expect((await ask({ 'x-api-key': api.keys.team })).json()).toEqual([mine])
    expect((await ask({ authorization: `Bearer ${api.keys.team}` })).json()).toEqual([mine])
  })

  test('is all teams for the operator, without keys', async () => {
    const answer = await ask({ 'x-admin-token': api.adminToken })
    expect(answer.json()).toEqual([
      { teamID: 'team', name: 'team', apiKey: '', isDefault: true },
      { teamID: 'other', name: 'Other', apiKey: '', isDefault: false },
    ])
  })

  test.each<Record<string, string>>([
    {},
    { authorization: 'Bearer sk_e2b_0123' },
    { authorization: 'Basic dXNlcjo=' },
    { 'x-admin-token': 'guess' },
  ])('is nothing for %j', async (headers) => {
    expect((await ask(headers)).statusCode).toBe(401)
  })
})

test('access tokens have ended', async () => {
  const made = await api.ask('POST /access-tokens', { headers: {}, body: { name: 'x' } })
  expect(made.statusCode).toBe(410)
  expect(made.json()).toEqual({ code: 410, message: expect.stringContaining('API key') })
  const deleted = await api.ask('DELETE /access-tokens/1', { headers: {} })
  expect(deleted.statusCode).toBe(404)
})

describe('metrics', () => {
  const second = () => Math.floor(now / 1000)

  beforeEach(async () => {
    const sample = (ago: number, runningSandboxes: number, startsPerSecond: number, teamId = 'team') => ({
      teamId,
      at: now - ago * 1000,
      runningSandboxes,
      startsPerSecond,
    })
    await api.control.store.teamSamples.add([
      sample(3 * 24 * 3600, 50, 5),
      sample(600, 2, 0.2),
      sample(300, 3, 0.1),
      sample(300, 99, 99, 'other'),
    ])
  })

  test('are the team’s own over the last day, oldest first', async () => {
    const answer = await api.ask('GET /teams/team/metrics')
    expect(answer.json()).toEqual([
      {
        timestamp: '2026-01-02T02:54:05.678Z',
        timestampUnix: second() - 600,
        concurrentSandboxes: 2,
        sandboxStartRate: 0.2,
      },
      {
        timestamp: '2026-01-02T02:59:05.678Z',
        timestampUnix: second() - 300,
        concurrentSandboxes: 3,
        sandboxStartRate: 0.1,
      },
    ])
  })

  test('are those of the time that is asked for, to the second, with as many points as fit an answer', async () => {
    const of = async (query: string) => (await api.ask(`GET /teams/team/metrics?${query}`)).json()
    expect(await of(`start=${second() - 300}&end=${second() - 300}`)).toHaveLength(1)
    expect(await of(`start=${second() - 299}`)).toEqual([])
    const long = await of('start=0')
    expect(long).toHaveLength(1)
    expect(long[0]).toMatchObject({ concurrentSandboxes: 50, sandboxStartRate: 5 })
  })

  test('have a largest one', async () => {
    const max = async (query: string) => (await api.ask(`GET /teams/team/metrics/max?${query}`)).json()
    expect(await max('metric=concurrent_sandboxes')).toMatchObject({
      value: 3,
      timestampUnix: second() - 300,
    })
    expect(await max('metric=sandbox_start_rate')).toMatchObject({
      value: 0.2,
      timestampUnix: second() - 600,
    })
    expect(await max(`metric=sandbox_start_rate&start=${second()}`)).toMatchObject({ value: 0 })
  })

  test.each([
    'metrics?start=2&end=1',
    'metrics?start=-1',
    'metrics?end=soon',
    'metrics/max',
    'metrics/max?metric=cpu',
  ])('%s is refused', async (path) => {
    expect((await api.ask(`GET /teams/team/${path}`)).statusCode).toBe(400)
  })
})
