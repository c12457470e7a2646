/** The part of the store's contract that is about teams, keys and webhooks; `store.suite.ts` runs it. */
import { expect, test } from 'vitest'
import type { Store } from '../domain/store.ts'
import type { ApiKey, Team } from '../domain/team.ts'
import type { Webhook } from '../domain/webhook.ts'

export function testTeamsAndKeys(store: () => Store): void {
  test('teams are listed oldest first, and the first is the oldest', async () => {
    expect(await store().teams.first()).toBeUndefined()
    expect(await store().teams.list()).toEqual([])
    const [older, newer] = [team({ id: 'z', slug: 'zulu' }), team({ id: 'a', slug: 'alpha' })]
    await store().teams.create(older)
    await store().teams.create(newer)
    expect(await store().teams.first()).toEqual(older)
    expect(await store().teams.list()).toEqual([older, newer])
    expect(await store().teams.find('a')).toEqual(newer)
    expect(await store().teams.findBySlug('zulu')).toEqual(older)
    expect(await store().teams.find('zulu')).toBeUndefined()
    expect(await store().teams.findBySlug('Zulu')).toBeUndefined()
  })

  test('an id and a slug exist once', async () => {
    await store().teams.create(team({ id: 'a', slug: 'alpha' }))
    for (const other of [team({ id: 'a', slug: 'beta' }), team({ id: 'b', slug: 'alpha' })])
      await expect(store().teams.create(other)).rejects.toMatchObject({ code: 'conflict' })
    expect(await store().teams.list()).toHaveLength(1)
  })

  test('limits are replaced as a whole, and null isn’t the same as absent', async () => {
    await store().teams.create(team({ id: 'a', limits: { vcpu: 4 } }))
    await store().teams.setLimits('a', { runningSandboxes: null, createsPerSecond: 0.5 })
    expect((await store().teams.find('a'))?.limits).toEqual({ runningSandboxes: null, createsPerSecond: 0.5 })
    await expect(store().teams.setLimits('b', {})).rejects.toMatchObject({ code: 'not_found' })
  })

  test('keys are found by hash and listed by team, oldest first', async () => {
    const newer = apiKey({ id: 'a', hash: 'h1', createdAt: 2 })
    const older = apiKey({ id: 'b', hash: 'h2', createdAt: 1 })
    await store().apiKeys.create(newer)
    await store().apiKeys.create(older)
    await store().apiKeys.create(apiKey({ id: 'c', hash: 'h3', teamId: 'blue' }))
    expect(await store().apiKeys.findByHash('h1')).toEqual(newer)
    expect(await store().apiKeys.findByHash('H1')).toBeUndefined()
    expect(await store().apiKeys.find('b')).toEqual(older)
    expect(await store().apiKeys.find('h2')).toBeUndefined()
    expect(await store().apiKeys.list('red')).toEqual([older, newer])
    expect(await store().apiKeys.list('none')).toEqual([])
  })

  test('a hash exists once', async () => {
    await store().apiKeys.create(apiKey({ id: 'a', hash: 'h1' }))
    await expect(store().apiKeys.create(apiKey({ id: 'b', hash: 'h1' }))).rejects.toMatchObject({
      code: 'conflict',
    })
  })

  test('a removed key is gone, and removing it again fails', async () => {
    await store().apiKeys.create(apiKey({ id: 'a', hash: 'h1' }))
    await store().apiKeys.remove('a')
    expect(await store().apiKeys.findByHash('h1')).toBeUndefined()
    await expect(store().apiKeys.remove('a')).rejects.toMatchObject({ code: 'not_found' })
  })

  test('a key is renamed, and its use recorded; a use of one that is gone is no error', async () => {
    const key = apiKey({ id: 'a' })
    await store().apiKeys.create(key)
    await store().apiKeys.rename('a', 'new name')
    await store().apiKeys.touch('a', 1_765_432_109_876.5)
    expect(await store().apiKeys.find('a')).toEqual({
      ...key,
      name: 'new name',
      lastUsedAt: 1_765_432_109_876.5,
    })
    await expect(store().apiKeys.rename('b', 'x')).rejects.toMatchObject({ code: 'not_found' })
    await store().apiKeys.touch('b', 1)
  })
}

export function testWebhooks(store: () => Store): void {
  test('what came of an attempt is written only where the cursor is still the same', async () => {
    const webhook: Webhook = {
      id: 'w',
      teamId: 'red',
      name: 'mine',
      url: 'http://127.0.0.1/',
      enabled: true,
      events: ['killed'],
      secret: 'secret',
      createdAt: 1.5,
      cursor: 7,
      attempts: 0,
      notBefore: 0,
      lastError: null,
    }
    await store().webhooks.create(webhook, 50)
    await store().webhooks.settle('w', 6, { cursor: 9 })
    await store().webhooks.settle('other', 7, { cursor: 9 })
    expect(await store().webhooks.find('w')).toEqual(webhook)
    await store().webhooks.settle('w', 7, { cursor: 9, lastError: 'It answered 500.' })
    expect(await store().webhooks.list({ teamId: 'red', enabled: true })).toEqual([
      { ...webhook, cursor: 9, lastError: 'It answered 500.' },
    ])
    await store().webhooks.remove('w')
    await store().webhooks.remove('w')
    expect(await store().webhooks.find('w')).toBeUndefined()
  })
}

function team(values: Partial<Team>): Team {
  return { id: 'red', name: 'team', slug: 'red', createdAt: 1, limits: {}, ...values }
}

function apiKey(values: Partial<ApiKey>): ApiKey {
  return {
    id: 'a',
    teamId: 'red',
    name: 'key',
    hash: 'h',
    mask: 'e2b_12…89ab',
    createdAt: 1,
    lastUsedAt: null,
    ...values,
  }
}
