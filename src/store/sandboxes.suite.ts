/** The part of the store's contract that is about sandboxes and their events; `store.suite.ts` runs it. */
import { expect, test } from 'vitest'
import type { Sandbox } from '../domain/sandbox.ts'
import type { Store } from '../domain/store.ts'
import { sandbox } from './sandbox.fixture.ts'

export function testSandboxes(store: () => Store): void {
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

export function testSandboxLists(store: () => Store): void {
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

export function testEvents(store: () => Store): void {
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
    await sandboxes.update('ione', { endReason: 'request' }, { event: event('ione') })
    const all = await events.list({ limit: 10 })
    expect(all.map(({ sandboxId }) => sandboxId)).toEqual(['ione', 'ione'])
    expect(all[0]).toMatchObject({ ...event('ione'), id: expect.stringMatching(/^[0-9a-f-]{36}$/) })
    expect(all[1]!.sequence).toBeGreaterThan(all[0]!.sequence)
    expect(await events.list({ afterSequence: all[0]!.sequence, limit: 10 })).toEqual([all[1]])
    expect(await events.list({ teamId: 'other', limit: 10 })).toEqual([])
    expect(await events.removeBefore(6)).toBe(2)
  })
}
