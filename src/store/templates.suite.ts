/** The part of the store's contract that is about templates; `store.suite.ts` runs it. */
import { expect, test } from 'vitest'
import { buildOf, templateOf } from '../../tests/support/control.ts'
import type { Store } from '../domain/store.ts'
import { noDefaults, type TemplateBuild } from '../domain/template-build.ts'
import type { Layer } from '../domain/template-layer.ts'
import { sandbox } from './sandbox.fixture.ts'

export function testTemplates(store: () => Store): void {
  const resolve = async (name: string, teamId: string) => (await store().templates.resolve(name, teamId))?.id

  test('come back as they were stored, by id and by each name', async () => {
    const { templates } = store()
    const mine = templateOf({ id: 't1', aliases: ['one', 'uno'], lastSpawnedAt: 7, spawnCount: 3 })
    await templates.create(mine)
    for (const name of ['t1', 'one', 'uno']) expect(await templates.resolve(name, 'team')).toEqual(mine)
    expect(await templates.find('t1')).toEqual(mine)
    expect(await templates.findByAlias('team', 'uno')).toEqual(mine)
    expect(await templates.findByAlias(null, 'uno')).toBeUndefined()
    await templates.put(templateOf({ id: 't1', aliases: ['one'] }))
    expect(await resolve('uno', 'team')).toBeUndefined()
  })

  test('a name is given once in a team; nothing is left of a refusal', async () => {
    const { templates } = store()
    await templates.create(templateOf({ id: 't1', aliases: ['one'] }))
    for (const again of [{ id: 't1' }, { id: 't2', aliases: ['two', 'one'] }])
      await expect(templates.create(templateOf(again))).rejects.toMatchObject({ code: 'conflict' })
    expect(await templates.find('t2')).toBeUndefined()
    await templates.create(templateOf({ id: 't2', teamId: 'other', aliases: ['one'] }))
    expect(await resolve('one', 'other')).toBe('t2')
  })

  test("an id comes before a name, a team's own name before the server's; others' only by id, where public", async () => {
    const { templates } = store()
    await templates.put(templateOf({ id: 'base', teamId: null, aliases: ['base', 'code'], isPublic: true }))
    await templates.create(
      templateOf({ id: 'tred', teamId: 'red', aliases: ['code', 'tblue'], isPublic: true }),
    )
    await templates.create(templateOf({ id: 'tblue', teamId: 'blue', aliases: ['mine'] }))
    expect(await resolve('code', 'red')).toBe('tred')
    expect(await resolve('code', 'blue')).toBe('base')
    expect(await resolve('tred', 'blue')).toBe('tred')
    expect(await resolve('tblue', 'red')).toBe('tred')
    expect(await resolve('tblue', 'green')).toBeUndefined()
    expect(await resolve('mine', 'red')).toBeUndefined()
    await templates.create(templateOf({ id: 'tfork', teamId: 'red', kind: 'fork' }))
    expect(await resolve('tfork', 'red')).toBeUndefined()
  })

  test('are listed newest first, page by page, and changed', async () => {
    const { templates } = store()
    for (const [createdAt, id] of ['a', 'b', 'c'].entries())
      await templates.create(templateOf({ id, createdAt }))
    await templates.create(templateOf({ id: 'snap', kind: 'snapshot', createdAt: 9 }))
    await templates.put(templateOf({ id: 'base', teamId: null, createdAt: 0 }))
    const ids = async (filter: Parameters<typeof templates.list>[0]) =>
      (await templates.list(filter)).map(({ id }) => id)
    expect(await ids({ teamId: 'team' })).toEqual(['snap', 'c', 'b', 'a'])
    expect(await ids({ teamId: null })).toEqual(['base'])
    expect(await ids({ visibleTo: 'team', kind: 'template' })).toEqual(['c', 'b', 'base', 'a'])
    const after = { createdAt: 2, id: 'c' }
    expect(await ids({ visibleTo: 'team', kind: 'template', after, limit: 1 })).toEqual(['b'])
    await templates.update('a', { isPublic: true, updatedAt: 5 })
    const { sandboxes, warmGuests } = store()
    const created = (templateId: string, at: number) => ({
      ...{ teamId: 'team', sandboxId: 'ione', type: 'created' as const, reason: null, detail: {} },
      ...{ templateId, at },
    })
    await sandboxes.create(sandbox({ id: 'iold', state: 'creating' }))
    await sandboxes.update('iold', { state: 'running' }, { event: created('a', 6) })
    await warmGuests.add('iwarm')
    await sandboxes.create(sandbox({ id: 'iwarm', state: 'running' }), created('a', 8))
    expect(await warmGuests.list()).toEqual([])
    await sandboxes.update('iold', {}, { event: created('none', 8) })
    const changed = { isPublic: true, updatedAt: 5, spawnCount: 2, lastSpawnedAt: 8 }
    expect(await templates.find('a')).toMatchObject(changed)
    await expect(templates.update('none', {})).rejects.toMatchObject({ code: 'not_found' })
  })

  test('another name takes the place of those before, unless the team has it already', async () => {
    const { templates } = store()
    await templates.create(templateOf({ id: 'a', aliases: ['one', 'two'] }))
    await templates.create(templateOf({ id: 'b', aliases: ['three'] }))
    await templates.put(templateOf({ id: 'base', teamId: null, aliases: ['base'] }))
    await templates.update('a', { aliases: ['base'] })
    expect(await templates.findByAlias('team', 'base')).toMatchObject({ id: 'a', aliases: ['base'] })
    expect(await templates.findByAlias('team', 'one')).toBeUndefined()
    const taken = templates.update('a', { aliases: ['three'], isPublic: true })
    await expect(taken).rejects.toMatchObject({ code: 'conflict' })
    expect(await templates.find('a')).toMatchObject({ aliases: ['base'], isPublic: false })
  })
}

export function testBuilds(store: () => Store): void {
  const add = async (build: Partial<TemplateBuild>, kind: 'template' | 'snapshot' | 'fork' = 'template') => {
    const whole = buildOf({ templateId: 't', ...build })
    const template = templateOf({ id: whole.templateId, teamId: whole.teamId, kind })
    const isNew = (await store().templates.find(whole.templateId)) === undefined
    await store().builds.create(whole, isNew ? { template } : {})
    return whole
  }

  test('come back as they were stored, with their template or not at all', async () => {
    const { builds, templates } = store()
    const full = buildOf({
      ...{ id: 'b1', templateId: 't', status: 'error', image: null, startedAt: 2, finishedAt: 3 },
      defaults: { env: { A: '1' }, user: 'user', workdir: '/app', startCmd: 'serve', readyCmd: 'true' },
      origin: { sandboxId: 'ione', templateId: 'base' },
      reason: { message: 'no', step: '3' },
    })
    await expect(builds.create(full)).rejects.toMatchObject({ code: 'not_found' })
    await builds.create(full, { template: templateOf({ id: 't' }) })
    expect(await builds.find('b1')).toEqual(full)
    await expect(builds.create(full)).rejects.toMatchObject({ code: 'conflict' })
    const other = templateOf({ id: 'u' })
    await expect(builds.create({ ...full, templateId: 'u' }, { template: other })).rejects.toMatchObject({
      code: 'conflict',
    })
    expect(await templates.find('u')).toBeUndefined()
  })

  test('the store says which runtimes sandboxes, guests that wait and builds of teams are of', async () => {
    expect(await store().runtimes()).toEqual({ sandboxes: [], builds: [] })
    await add({ id: 'b1', runtime: 'docker' })
    await add({ id: 'b2', templateId: 'u', runtime: 'native', status: 'error' })
    await add({ id: 'b3', templateId: 'base', teamId: null, runtime: 'docker', createdAt: 1 })
    await add({ id: 'b4', templateId: 'base', teamId: null, runtime: 'native', createdAt: 2 })
    expect(await store().runtimes()).toEqual({ sandboxes: [], builds: ['docker'] })
    await store().warmGuests.add('iwarm')
    expect(await store().runtimes()).toEqual({ sandboxes: ['native'], builds: ['docker'] })
    await add({ id: 'b5', templateId: 'v', runtime: 'process', status: 'building' })
    await store().sandboxes.create(sandbox({ id: 'ione', runtime: 'process' }))
    await store().sandboxes.create(sandbox({ id: 'itwo', runtime: 'native' }))
    await store().sandboxes.create(sandbox({ id: 'ithree', runtime: 'native' }))
    expect(await store().runtimes()).toEqual({
      sandboxes: ['native', 'process'],
      builds: ['docker', 'process'],
    })
  })

  test('change only from the status they are in, and their tags come with their end', async () => {
    const { builds, tags, templates, events } = store()
    const { id } = await add({ status: 'waiting', image: null })
    await expect(builds.update(id, {}, 'building')).rejects.toMatchObject({ code: 'conflict' })
    await expect(builds.update('none', {}, 'building')).rejects.toMatchObject({ code: 'not_found' })
    const outcome = {
      at: 9,
      tags: ['default', 'v1'],
      image: 'x',
      diskMb: 7,
      defaults: { ...noDefaults, user: 'u' },
    }
    await expect(builds.complete(id, outcome)).rejects.toMatchObject({ code: 'conflict' })
    await builds.update(id, { status: 'building', startedAt: 5 }, 'waiting')
    const event = {
      ...({ teamId: 'team', sandboxId: 'ione', templateId: 't', type: 'snapshotted' } as const),
      ...{ at: 9, reason: 'request', detail: {} },
    }
    await builds.complete(id, outcome, event)
    const { at, tags: names, ...kept } = outcome
    expect(await builds.find(id)).toMatchObject({ ...kept, status: 'ready', startedAt: 5, finishedAt: at })
    expect((await tags.list('t')).map(({ tag, buildId }) => [tag, buildId])).toEqual(
      names.map((tag) => [tag, id]),
    )
    expect((await templates.find('t'))?.updatedAt).toBe(9)
    expect(await events.list({ limit: 9 })).toHaveLength(1)
  })

  test('are found by what they are', async () => {
    const { builds } = store()
    const origin = { sandboxId: 'ione', templateId: 'base' }
    await add({ id: 'a', createdAt: 1, status: 'building', image: 'x' })
    await add({ id: 'b', createdAt: 2, templateId: 'snap', origin }, 'snapshot')
    await add({ id: 'c', createdAt: 3, templateId: 'fork', teamId: 'other', origin }, 'fork')
    const ids = async (filter: Parameters<typeof builds.list>[0]) =>
      (await builds.list(filter)).map(({ id }) => id)
    expect(await ids({})).toEqual(['c', 'b', 'a'])
    expect(await ids({ statuses: ['building'] })).toEqual(['a'])
    expect(await ids({ isSnapshot: true })).toEqual(['c', 'b'])
    expect(await ids({ isSnapshot: false, teamId: 'team' })).toEqual(['a'])
    expect(await ids({ kind: 'fork' })).toEqual(['c'])
    expect(await ids({ image: 'x', templateId: 't' })).toEqual(['a'])
    expect(await ids({ after: { createdAt: 3, id: 'c' }, limit: 1 })).toEqual(['b'])
    expect(await builds.count({ teamId: 'team', statuses: ['building', 'ready'] })).toBe(2)
  })

  test('what was asked for goes with its build, and lists have the newest of each template', async () => {
    const { builds } = store()
    const plan = { tags: ['v1'], minFreeDiskMb: 5 }
    const template = templateOf({ id: 't' })
    const old = buildOf({ templateId: 't', createdAt: 1 })
    const newer = buildOf({ templateId: 't', createdAt: 2 })
    const newest = buildOf({ templateId: 't', createdAt: 3, status: 'waiting' })
    await builds.create(newest, { template, plan })
    for (const build of [newer, old]) await builds.create(build)
    const alone = await add({ templateId: 'u', status: 'error' })
    expect(await builds.plan(newest.id)).toEqual(plan)
    expect(await builds.plan(old.id)).toBeUndefined()
    expect(await builds.latest(['t', 'u', 'none'])).toEqual(
      new Map([
        ['t', { buildCount: 3, newest, current: newer }],
        ['u', { buildCount: 1, newest: alone, current: undefined }],
      ]),
    )
    expect(await builds.latest([])).toEqual(new Map())
    await builds.remove(newest.id)
    expect(await builds.plan(newest.id)).toBeUndefined()
  })

  test('a tag stands for one build, the newest it was given to', async () => {
    const { builds, tags } = store()
    await add({ id: 'a' })
    await add({ id: 'b' })
    await add({ id: 'c', templateId: 'u' })
    await tags.assign('t', ['v1', 'v2'], 'a', 1)
    await tags.assign('t', ['v2'], 'b', 2)
    await expect(tags.assign('t', ['v3'], 'c', 3)).rejects.toMatchObject({ code: 'not_found' })
    expect(await tags.list('t')).toEqual([
      { templateId: 't', tag: 'v2', buildId: 'b', createdAt: 2 },
      { templateId: 't', tag: 'v1', buildId: 'a', createdAt: 1 },
    ])
    await tags.remove('t', ['v1', 'none'])
    await tags.remove('t', [])
    expect(await tags.find('t', 'v1')).toBeUndefined()
    await builds.remove('b')
    expect(await tags.list('t')).toEqual([])
  })

  test('snapshots are listed once for each template, under the newest of the tags that are asked for', async () => {
    const { builds, tags } = store()
    const origin = { sandboxId: 'ione', templateId: 'base' }
    for (const [at, [id, templateId, kind]] of (
      [
        ['a', 'snap', 'snapshot'],
        ['b', 'snap', 'snapshot'],
        ['c', 'unnamed', 'snapshot'],
        ['d', 'fork', 'fork'],
      ] as const
    ).entries()) {
      await add({ id, templateId, origin, createdAt: at }, kind)
      await tags.assign(templateId, [`v${id}`], id, at)
    }
    await add({ id: 'e', templateId: 'built', createdAt: 9 })
    await tags.assign('built', ['default'], 'e', 9)
    const listed = async (filter: object) =>
      (await builds.snapshots({ teamId: 'team', ...filter })).map(({ build, tag }) => `${build.id} ${tag}`)
    expect(await listed({})).toEqual(['c vc', 'b vb'])
    expect(await listed({ tag: 'va' })).toEqual(['a va'])
    expect(await listed({ templateId: 'snap', sandboxId: 'ione' })).toEqual(['b vb'])
    expect(await listed({ sandboxId: 'iother' })).toEqual([])
    expect(await listed({ after: { createdAt: 2, id: 'c' }, limit: 1 })).toEqual(['b vb'])
    await builds.remove('b')
    expect(await store().templates.find('snap')).toBeDefined()
    await builds.remove('a')
    expect(await store().templates.find('snap')).toBeUndefined()
    await builds.remove('e')
    expect(await store().templates.find('built')).toBeDefined()
  })

  test('what they say is kept in order, and goes with them', async () => {
    const { builds, buildLogs } = store()
    await add({ id: 'a' })
    const entry = (message: string, level: 'debug' | 'info' | 'error', at: number) => ({
      ...{ message, level, at, step: level === 'error' ? '1' : null },
    })
    await buildLogs.append('a', [entry('one', 'info', 1), entry('two', 'debug', 2)])
    await buildLogs.append('a', [entry('three', 'error', 3)])
    await buildLogs.append('none', [entry('lost', 'info', 1)])
    const said = async (filter: object) =>
      (await buildLogs.list({ buildId: 'a', limit: 9, ...filter })).map(({ message }) => message)
    expect(await buildLogs.list({ buildId: 'a', limit: 1, offset: 2 })).toEqual([
      { ...entry('three', 'error', 3), index: 2 },
    ])
    expect(await said({ minLevel: 'info' })).toEqual(['one', 'three'])
    expect(await said({ minLevel: 'info', offset: 1 })).toEqual(['three'])
    expect(await said({ order: 'desc', limit: 2 })).toEqual(['three', 'two'])
    expect(await said({ cursor: 2 })).toEqual(['two', 'three'])
    expect(await said({ cursor: 2, order: 'desc' })).toEqual(['two', 'one'])
    await builds.remove('a')
    expect(await said({})).toEqual([])
  })
}

export function testCache(store: () => Store): void {
  test('private images are known by name until they are removed', async () => {
    const { privateImages } = store()
    await privateImages.put({ image: 'b:1', imageId: null })
    await privateImages.put({ image: 'a:1', imageId: null })
    await privateImages.put({ image: 'a:1', imageId: 'sha256:1' })
    expect(await privateImages.list()).toEqual([
      { image: 'a:1', imageId: 'sha256:1' },
      { image: 'b:1', imageId: null },
    ])
    for (const image of ['a:1', 'b:1', 'none:1']) await privateImages.remove(image)
    expect(await privateImages.list()).toEqual([])
  })

  test('layers are a team’s, and come least recently used first', async () => {
    const { layers } = store()
    const layer: Layer = {
      ...{ key: 'k1', teamId: 'team', image: 'x', runtime: 'docker', parent: null, sizeBytes: 3 },
      ...{ defaults: { ...noDefaults, workdir: '/app' }, createdAt: 1, lastUsedAt: 1 },
    }
    await layers.put(layer)
    await layers.put({ ...layer, key: 'k2', image: 'y', lastUsedAt: 2 })
    await layers.put({ ...layer, sizeBytes: 4, parent: 'below' })
    expect(await layers.find('team', 'k1')).toEqual({ ...layer, sizeBytes: 4, parent: 'below' })
    expect(await layers.find('other', 'k1')).toBeUndefined()
    await layers.touch('team', 'k1', 5)
    await layers.touch('team', 'none', 5)
    expect((await layers.list({})).map(({ key }) => key)).toEqual(['k2', 'k1'])
    expect((await layers.list({ image: 'x', teamId: 'team', limit: 5 })).map(({ key }) => key)).toEqual([
      'k1',
    ])
    await layers.remove('team', 'k1')
    expect(await layers.list({})).toHaveLength(1)
  })

  test('files are a team’s, and their sizes add up', async () => {
    const { templateFiles: files } = store()
    const file = { teamId: 'team', hash: 'h1', sizeBytes: 3, createdAt: 1, lastUsedAt: 1 }
    await files.put(file)
    await files.put({ ...file, hash: 'h2', lastUsedAt: 2 })
    expect(await files.find('team', 'h1')).toEqual(file)
    expect(await files.find('other', 'h1')).toBeUndefined()
    expect(await files.usage('team')).toBe(6)
    expect(await files.usage('other')).toBe(0)
    await files.touch('team', 'h1', 5)
    expect((await files.list({ teamId: 'team', limit: 1 })).map(({ hash }) => hash)).toEqual(['h2'])
    await files.remove('team', 'h2')
    expect(await files.list({})).toHaveLength(1)
  })
}
