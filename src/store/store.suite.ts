/** The contract's test: every dialect passes it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Sandbox } from '../domain/sandbox.ts'
import type { Store } from '../domain/store.ts'
import type { ApiKey, Team } from '../domain/team.ts'
import { noDefaults } from '../domain/template-build.ts'
import type { Webhook } from '../domain/webhook.ts'
import { testBuilds, testCache, testTemplates } from './templates.suite.ts'

/** Runs the suite; `open` makes an empty store each time. */
export function testStore(name: string, open: () => Promise<Store>): void {
  describe(name, () => {
    let store: Store
    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())

    test('has an id of twelve hex digits', () => {
      expect(store.instanceId).toMatch(/^[0-9a-f]{12}$/)
    })

    describe('sandboxes', () => testSandboxes(() => store))
    describe('sandbox lists', () => testSandboxLists(() => store))
    describe('events', () => testEvents(() => store))
    describe('templates', () => testTemplates(() => store))
    describe('builds', () => testBuilds(() => store))
    describe('the cache of builds', () => testCache(() => store))
    describe('teams and keys', () => testTeamsAndKeys(() => store))
    describe('figures', () => testFigures(() => store))
    describe('samples of sandboxes', () => testSandboxMetrics(() => store))
    describe('logs', () => testLogs(() => store))
    describe('webhooks', () => testWebhooks(() => store))
  })
}

function testSandboxes(store: () => Store): void {
  test('come back as they were stored', async () => {
    const plain = sandbox({ id: 'iplain' })
    const full = sandbox({
      id: 'ifull',
      alias: 'base',
      startedAt: 1_765_432_109_876.543,
      metadata: { user: 'Zoë', 'a.b': '"quoted"', '': '' },
      envVars: { PATH: '/bin', EMPTY: '' },
      envdAccessToken: 'token',
      allowInternetAccess: false,
      timeoutS: 15,
      onTimeout: 'pause',
      autoPauseMemory: false,
      autoResume: true,
      pausedWithMemory: false,
      trafficAccessToken: 'traffic',
      network: {
        allowPublicTraffic: false,
        maskRequestHost: 'inside.example.com',
        httpsPorts: [8443],
        allowOut: ['example.com'],
        denyOut: ['0.0.0.0/0'],
        rules: { 'example.com': [{ headers: { a: 'b' } }] },
      },
      endReason: 'timeout',
      idempotency: { key: 'once', requestHash: 'hash' },
      handle: { runtime: 'docker', version: 1, sandboxId: 'ifull', state: { pid: 1, name: 'x', ok: true } },
    })
    await store().sandboxes.create(plain)
    await store().sandboxes.create(full)
    expect(await store().sandboxes.find('iplain')).toEqual(plain)
    expect(await store().sandboxes.find('ifull')).toEqual(full)
    expect(await store().sandboxes.find('inone')).toBeUndefined()
  })

  test('an id exists once', async () => {
    await store().sandboxes.create(sandbox({ id: 'ione' }))
    await expect(store().sandboxes.create(sandbox({ id: 'ione', image: 'other' }))).rejects.toMatchObject({
      code: 'conflict',
    })
    expect((await store().sandboxes.find('ione'))?.image).toBe('image')
  })

  test('an update changes what it names and nothing else', async () => {
    const before = sandbox({ id: 'ione' })
    await store().sandboxes.create(before)
    await store().sandboxes.create(sandbox({ id: 'itwo' }))
    const handle = { runtime: 'docker', version: 1, sandboxId: 'ione', state: {} }

    await store().sandboxes.update('ione', { state: 'running', handle })
    await store().sandboxes.update('ione', { startedAt: 5.25, endAt: 10.5 })
    await store().sandboxes.update('ione', {})
    await store().sandboxes.update('ione', {}, { from: 'running' })
    await expect(store().sandboxes.update('ione', { endAt: 1 }, { from: 'paused' })).rejects.toMatchObject({
      code: 'conflict',
    })
    expect(await store().sandboxes.find('ione')).toEqual({
      ...before,
      state: 'running',
      handle,
      startedAt: 5.25,
      endAt: 10.5,
    })
    await store().sandboxes.update('ione', { handle: null })
    expect((await store().sandboxes.find('ione'))?.handle).toBeNull()
    expect((await store().sandboxes.find('itwo'))?.state).toBe('creating')
  })

  test('updating what is not there fails, removing it does not', async () => {
    await expect(store().sandboxes.update('inone', { endAt: 1 })).rejects.toMatchObject({ code: 'not_found' })
    await expect(store().sandboxes.update('inone', {})).rejects.toMatchObject({ code: 'not_found' })
    const running = { from: 'running' } as const
    await expect(store().sandboxes.update('inone', {}, running)).rejects.toMatchObject({ code: 'not_found' })
    await store().sandboxes.create(sandbox({ id: 'ione' }))
    await store().sandboxes.remove('ione')
    await store().sandboxes.remove('ione')
    expect(await store().sandboxes.find('ione')).toBeUndefined()
  })
}

function testSandboxLists(store: () => Store): void {
  const ids = async (filter: Parameters<Store['sandboxes']['list']>[0]) =>
    (await store().sandboxes.list(filter)).map(({ id }) => id)
  const add = async (...sandboxes: Partial<Sandbox>[]) => {
    for (const values of sandboxes) await store().sandboxes.create(sandbox(values))
  }

  test('are ordered by start, then id, newest first', async () => {
    const at = 1_765_432_109_876
    await add(
      { id: 'ib', startedAt: at },
      { id: 'ia', startedAt: at },
      { id: 'ic', startedAt: at + 0.001 },
      { id: 'id', startedAt: at - 0.001 },
    )
    expect(await ids({})).toEqual(['ic', 'ib', 'ia', 'id'])
    expect(await ids({ order: 'desc' })).toEqual(['ic', 'ib', 'ia', 'id'])
    expect(await ids({ order: 'asc' })).toEqual(['id', 'ia', 'ib', 'ic'])
  })

  test.each(['asc', 'desc'] as const)('page without gaps or repeats (%s)', async (order) => {
    const at = 1_765_432_109_876
    await add(
      ...Array.from({ length: 23 }, (_, i) => ({
        id: `i${String(i).padStart(2, '0')}`,
        startedAt: at + Math.floor(i / 3) / 1000,
      })),
    )
    const all = await ids({ order })
    expect(all).toHaveLength(23)
    const paged: string[] = []
    let after: { startedAt: number; id: string } | undefined
    for (;;) {
      const page = await store().sandboxes.list({ order, limit: 4, ...(after && { after }) })
      paged.push(...page.map(({ id }) => id))
      if (page.length < 4) break
      after = page.at(-1)!
    }
    expect(paged).toEqual(all)
  })

  test('filter by team, state, template and time', async () => {
    await add(
      { id: 'ia', teamId: 'red', state: 'running', templateId: 'base', startedAt: 1, endAt: 10 },
      { id: 'ib', teamId: 'red', state: 'killing', templateId: 'base', startedAt: 2, endAt: 20 },
      { id: 'ic', teamId: 'blue', state: 'running', templateId: 'node', startedAt: 3, endAt: 30 },
    )
    expect(await ids({ teamId: 'red' })).toEqual(['ib', 'ia'])
    expect(await ids({ states: ['running'] })).toEqual(['ic', 'ia'])
    expect(await ids({ states: ['running', 'killing'], teamId: 'red' })).toEqual(['ib', 'ia'])
    expect(await ids({ states: [] })).toEqual([])
    expect(await ids({ templateId: 'node' })).toEqual(['ic'])
    expect(await ids({ startedAfter: 2 })).toEqual(['ic', 'ib'])
    expect(await ids({ endAtMost: 20 })).toEqual(['ib', 'ia'])
    expect(await ids({ limit: 1, order: 'asc' })).toEqual(['ia'])
    expect(await ids({ limit: 0 })).toEqual([])
  })

  test('are counted by the same filter', async () => {
    await add(
      { id: 'ia', teamId: 'red', state: 'running' },
      { id: 'ib', teamId: 'red', state: 'killing' },
      { id: 'ic', teamId: 'blue', state: 'running' },
    )
    expect(await store().sandboxes.count({})).toBe(3)
    expect(await store().sandboxes.count({ teamId: 'red' })).toBe(2)
    expect(await store().sandboxes.count({ teamId: 'red', states: ['running'] })).toBe(1)
    expect(await store().sandboxes.count({ states: [] })).toBe(0)
  })

  test.each([
    'plain',
    'with.dot',
    'with[0]',
    '$.path',
    `"double" 'single' \`back\``,
    'percent % and _ underscore',
    'back\\slash',
    'snowman ☃ 😀 ä',
    'a&b=c d',
    '__proto__',
    '',
    'new\nline',
    "'; drop table sandboxes; --",
  ])('filter by the metadata %j', async (text) => {
    const other = `${text}x`
    await add(
      { id: 'ikey', metadata: Object.fromEntries([[text, 'value']]) },
      { id: 'ivalue', metadata: { key: text } },
      {
        id: 'iboth',
        metadata: Object.fromEntries([
          [text, 'value'],
          ['more', text],
        ]),
      },
      {
        id: 'iother',
        metadata: Object.fromEntries([
          [other, 'value'],
          ['key', other],
        ]),
      },
    )
    const key = Object.fromEntries([[text, 'value']])
    expect((await ids({ metadata: key })).toSorted()).toEqual(['iboth', 'ikey'])
    expect(await ids({ metadata: { key: text } })).toEqual(['ivalue'])
    expect(
      await ids({
        metadata: Object.fromEntries([
          [text, 'value'],
          ['more', text],
        ]),
      }),
    ).toEqual(['iboth'])
    expect(await ids({ metadata: { [`${text}y`]: 'value' } })).toEqual([])
  })

  test('an empty metadata filter takes all', async () => {
    await add({ id: 'ia', metadata: {} })
    expect(await ids({ metadata: {} })).toEqual(['ia'])
  })

  test('a text that ends at a NUL is not its beginning', async () => {
    await add({ id: 'ia', metadata: { key: 'one\0two' } })
    expect(await ids({ metadata: { key: 'one' } })).toEqual([])
    expect(await ids({ metadata: { key: 'one\0three' } })).toEqual([])
    expect(await ids({ metadata: { key: 'one\0two' } })).toEqual(['ia'])
  })
}

function testEvents(store: () => Store): void {
  const event = (sandboxId: string) => ({
    teamId: 'team',
    sandboxId,
    templateId: 'base',
    type: 'paused' as const,
    at: 5,
    reason: 'request',
    detail: { memory: true },
  })

  test('an event is written with its change, and not without', async () => {
    const { sandboxes, events } = store()
    await sandboxes.create(sandbox({ id: 'ione' }))
    await sandboxes.update('ione', { state: 'paused' }, { event: event('ione') })
    await expect(
      sandboxes.update('inone', { state: 'paused' }, { event: event('inone') }),
    ).rejects.toMatchObject({
      code: 'not_found',
    })
    await sandboxes.remove('ione', event('ione'))
    await sandboxes.remove('ione', event('ione'))
    const all = await events.list({ limit: 10 })
    expect(all.map(({ sandboxId }) => sandboxId)).toEqual(['ione', 'ione'])
    expect(all[0]).toMatchObject({ ...event('ione'), id: expect.stringMatching(/^[0-9a-f-]{36}$/) })
    expect(all[1]!.sequence).toBeGreaterThan(all[0]!.sequence)
    expect(await events.list({ afterSequence: all[0]!.sequence, limit: 10 })).toEqual([all[1]])
    expect(await events.list({ teamId: 'other', limit: 10 })).toEqual([])
    expect(await events.removeBefore(6)).toBe(2)
  })
}

function testTeamsAndKeys(store: () => Store): void {
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

function testFigures(store: () => Store): void {
  test('what sandboxes of certain states are allowed together, by team', async () => {
    const rows = [
      sandbox({ id: 'i1', state: 'running', cpuCount: 2, memoryMb: 512 }),
      sandbox({ id: 'i2', state: 'running', cpuCount: 1, memoryMb: 128 }),
      sandbox({ id: 'i3', state: 'paused', cpuCount: 8, memoryMb: 4096 }),
      sandbox({ id: 'i4', state: 'running', teamId: 'blue', cpuCount: 4, memoryMb: 1024 }),
    ]
    for (const row of rows) await store().sandboxes.create(row)
    const blue = { teamId: 'blue', sandboxes: 1, cpuCount: 4, memoryMb: 1024 }
    const red = { teamId: 'red', sandboxes: 2, cpuCount: 3, memoryMb: 640 }
    expect(await store().sandboxes.usage({ states: ['running'] })).toEqual([blue, red])
    expect(await store().sandboxes.usage({ teamId: 'red', states: ['running'] })).toEqual([red])
    expect(await store().sandboxes.usage({ teamId: 'red', states: ['killing'] })).toEqual([])
  })

  test('samples are put together by steps, and the largest is found', async () => {
    const at = (time: number, runningSandboxes: number, startsPerSecond: number, teamId = 'red') => ({
      teamId,
      at: time,
      runningSandboxes,
      startsPerSecond,
    })
    await store().teamSamples.add([
      at(1_000, 3, 0.5),
      at(1_999, 1, 2),
      at(2_000, 3, 0),
      at(3_500, 9, 9, 'blue'),
    ])
    await store().teamSamples.add([])
    const all = { teamId: 'red', from: 0, to: 10_000 }
    expect(await store().teamSamples.list({ ...all, stepMs: 1_000 })).toEqual([
      at(1_999, 3, 2),
      at(2_000, 3, 0),
    ])
    expect(await store().teamSamples.list({ ...all, from: 1_999, to: 1_999, stepMs: 1 })).toEqual([
      at(1_999, 1, 2),
    ])
    expect(await store().teamSamples.max({ ...all, figure: 'runningSandboxes' })).toEqual(at(2_000, 3, 0))
    expect(await store().teamSamples.max({ ...all, figure: 'startsPerSecond' })).toEqual(at(1_999, 1, 2))
    expect(await store().teamSamples.max({ ...all, from: 5_000, figure: 'startsPerSecond' })).toBeUndefined()
    await store().teamSamples.removeBefore(2_000)
    expect(await store().teamSamples.list({ ...all, stepMs: 1_000 })).toEqual([at(2_000, 3, 0)])
  })

  test('a node is ready until it is said to be draining', async () => {
    expect(await store().nodeStatus.get('one')).toBe('ready')
    await store().nodeStatus.set('one', 'draining')
    expect(await store().nodeStatus.get('one')).toBe('draining')
    expect(await store().nodeStatus.get('two')).toBe('ready')
    await store().nodeStatus.set('one', 'ready')
    expect(await store().nodeStatus.get('one')).toBe('ready')
  })
}

function testSandboxMetrics(store: () => Store): void {
  const sample = (sandboxId: string, at: number) => ({
    sandboxId,
    at,
    cpuCount: 2,
    cpuUsedPct: 12.5,
    memUsed: 1,
    memTotal: 2 ** 40,
    memCache: 3,
    diskUsed: 4,
    diskTotal: 5,
  })
  const times = async (sandboxId: string) =>
    (await store().sandboxMetrics.list({ sandboxId, from: 0, to: 1e15, limit: 100 })).map(({ at }) => at)

  test('come back as they were stored, oldest first, the newest of too many', async () => {
    await store().sandboxMetrics.add([
      sample('ione', 3),
      sample('ione', 1),
      sample('ione', 2),
      sample('itwo', 9),
    ])
    const list = (from: number, to: number, limit: number) =>
      store().sandboxMetrics.list({ sandboxId: 'ione', from, to, limit })
    expect(await list(1, 3, 100)).toEqual([sample('ione', 1), sample('ione', 2), sample('ione', 3)])
    expect(await list(1, 2, 100)).toEqual([sample('ione', 1), sample('ione', 2)])
    expect(await list(1, 3, 2)).toEqual([sample('ione', 2), sample('ione', 3)])
    const latest = await store().sandboxMetrics.latest(['itwo', 'ione', 'inone'])
    expect(new Set(latest)).toEqual(new Set([sample('ione', 3), sample('itwo', 9)]))
    expect(await store().sandboxMetrics.latest([])).toEqual([])
  })

  test('of each step the first is kept, also where a range begins within a step', async () => {
    await store().sandboxMetrics.add([0, 5, 10, 15, 20, 25, 30].map((at) => sample('ione', at)))
    await store().sandboxMetrics.add([12, 14].map((at) => sample('itwo', at)))
    await store().sandboxMetrics.thin({ from: 5, before: 25, stepMs: 10 })
    expect(await times('ione')).toEqual([0, 10, 20, 25, 30])
    expect(await times('itwo')).toEqual([12])
    await store().sandboxMetrics.thin({ from: 25, before: 31, stepMs: 10 })
    expect(await times('ione')).toEqual([0, 10, 20, 30])
  })

  test('old ones go, and those of sandboxes that are gone', async () => {
    await store().sandboxes.create(sandbox({ id: 'ione' }))
    await store().sandboxes.create(sandbox({ id: 'ithree' }))
    for (const id of ['ione', 'itwo', 'ithree', 'izero'])
      await store().sandboxMetrics.add([sample(id, 5), sample(id, 6)])
    await store().sandboxMetrics.trim(6)
    const left = await Promise.all(['ione', 'itwo', 'ithree', 'izero'].map(times))
    expect(left).toEqual([[6], [], [6], []])
    await store().sandboxes.remove('ione')
    await store().sandboxes.remove('ithree')
    await store().sandboxMetrics.trim(6)
    await store().sandboxMetrics.trim(6)
    expect(await times('ione')).toEqual([])
  })
}

function testLogs(store: () => Store): void {
  const entry = (sandboxId: string, at: number, message = `at ${at}`) => ({
    teamId: 'red',
    sandboxId,
    at,
    level: 'info' as const,
    message,
    fields: { logger: 'process' },
  })
  const times = async (sandboxId: string) =>
    (await store().logs.list({ teamId: 'red', sandboxId, limit: 100 })).map(({ at }) => at)

  test('of sandboxes that are gone go sooner', async () => {
    await store().sandboxes.create(sandbox({ id: 'ione' }))
    await store().logs.add([1, 5, 9].flatMap((at) => [entry('ione', at), entry('itwo', at)]))
    await store().logs.trim({ before: 2, endedBefore: 6 })
    expect(await times('ione')).toEqual([5, 9])
    expect(await times('itwo')).toEqual([9])
  })

  test('are cut to their newest, by number and by length', async () => {
    await store().logs.add([1, 2, 3, 4].flatMap((at) => [entry('ione', at), entry('itwo', at)]))
    await store().logs.trimSandbox('ione', { entries: 3, characters: 1e6 })
    expect(await times('ione')).toEqual([2, 3, 4])
    const length = 'at 4'.length + JSON.stringify({ logger: 'process' }).length
    await store().logs.trimSandbox('ione', { entries: 3, characters: 2 * length })
    expect(await times('ione')).toEqual([3, 4])
    await store().logs.trimSandbox('ione', { entries: 3, characters: 2 * length })
    expect(await times('ione')).toEqual([3, 4])
    expect(await times('itwo')).toEqual([1, 2, 3, 4])
  })
}

function testWebhooks(store: () => Store): void {
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

function sandbox(values: Partial<Sandbox>): Sandbox {
  return {
    id: 'ione',
    teamId: 'red',
    templateId: 'tbase',
    buildId: null,
    alias: null,
    state: 'creating',
    startedAt: 1_765_432_109_876,
    endAt: 1_765_432_409_876,
    cpuCount: 2,
    memoryMb: 1024,
    diskMb: 512,
    metadata: {},
    envVars: {},
    envdAccessToken: null,
    allowInternetAccess: null,
    runtime: 'process',
    image: 'image',
    defaults: noDefaults,
    timeoutS: 300,
    onTimeout: 'kill',
    autoPauseMemory: true,
    autoResume: false,
    pausedWithMemory: null,
    trafficAccessToken: null,
    network: null,
    endReason: null,
    idempotency: null,
    handle: null,
    ...values,
  }
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
