import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildSpec, run, startBuilder, type TestBuilder } from '../../tests/support/builder.ts'
import { rowOf } from '../../tests/support/control.ts'
import type { TemplateBuild } from '../domain/template-build.ts'
import { sleep } from '../lib/deadline.ts'

/** A wall clock that the tests move. */
let now: number
let t: TestBuilder
beforeEach(async () => {
  now = 1_800_000_000_000
  t = await startBuilder({ clock: { now: () => now++ } })
})
afterEach(() => t[Symbol.asyncDispose]())

const patience = () => AbortSignal.timeout(30_000)
const day = 24 * 3600_000
const images = async () => (await t.runtime.images.list(patience())).toSorted()
const collect = (quotaBytes?: number) =>
  t.builder.collectGarbage(patience(), quotaBytes === undefined ? {} : { quotaBytes })

describe('the cache beyond its quota', () => {
  test('loses the least recently used layers, and never one that a build has', async () => {
    const { build } = await t.build({ steps: [run('head -c 100000 /dev/zero > a'), run('echo b > b')] })
    await t.build({ steps: [run('head -c 200000 /dev/zero > c')], tags: [] })
    const before = await t.store.layers.list({})
    expect(before).toHaveLength(4)
    // The base was used last, and the first build's last layer is its own.
    const { layers, bytes } = await collect(50_000)
    expect({ layers, bytes }).toEqual({
      layers: 1,
      bytes: before.find(({ sizeBytes }) => sizeBytes > 90_000)?.sizeBytes,
    })
    expect(await t.runtime.images.inspect(build.image ?? '', patience())).toBeDefined()
    const left = new Set((await t.store.layers.list({})).map(({ image }) => image))
    expect(await images()).toEqual([...left].sort())
    expect((await t.build({ from: { build }, steps: [run('cat b')] })).build.reason).toBeNull()
  })

  test('loses everything that nobody has when it may take nothing', async () => {
    const { build } = await t.build({ steps: [run('echo a > a'), run('echo b > b')] })
    await t.store.templateFiles.put({
      teamId: 'team',
      hash: 'a'.repeat(64),
      sizeBytes: 5,
      createdAt: 1,
      lastUsedAt: 1,
    })
    expect(await collect(0)).toMatchObject({ builds: 0, layers: 2, files: 1 })
    expect(await images()).toEqual([build.image])
    await t.store.templates.remove(build.templateId)
    expect(await collect(0)).toMatchObject({ layers: 1 })
    expect(await images()).toEqual([])
    expect(await t.store.layers.list({})).toEqual([])
  })

  test('keeps what a kept image was made of, which takes that disk anyway, until that is gone', async () => {
    const keepAs = 'e2b-server/tiny:0123456789ab-one'
    const steps = [run('echo a > a'), run('head -c 100000 /dev/zero > b')]
    const { build } = await t.build({ steps, keepAs })
    expect(build.image).toBe(keepAs)
    // Those before, which it isn't built on.
    expect((await collect(0)).bytes).toBeLessThan(90_000)
    await t.store.templates.remove(build.templateId)
    expect(await collect(0)).toMatchObject({ layers: 0, bytes: 0 })
    await t.runtime.images.remove(keepAs, patience())
    const { layers, bytes } = await collect(0)
    expect([layers, bytes > 90_000]).toEqual([1, true])
    expect(await images()).toEqual([])
  })

  test('keeps what a build that runs goes on from, and what a sandbox is made of', async () => {
    const { build } = await t.build({ steps: [run('echo a > a')] })
    await t.store.sandboxes.create(rowOf({ id: 'ione', state: 'paused', image: build.image ?? '' }))
    await t.store.templates.remove(build.templateId)
    const row = await t.create()
    await t.builder.start(row, buildSpec({ steps: [run('echo other > a'), run('echo here; sleep 60')] }))
    await t.said(row.id, ': here')
    const held = await images()
    expect(held).toHaveLength(3)
    await collect(0)
    expect(await images()).toEqual(held)
    await t.builder.cancel(row.id, 'enough')
    await collect(0)
    expect(await images()).toEqual([build.image])
  })

  test('loses what is built on a layer before that, and keeps what something in use is built on', async () => {
    const { build: parent } = await t.build({ steps: [run('head -c 100000 /dev/zero > p')] })
    const { build: child } = await t.build({
      from: { build: parent },
      steps: [run('head -c 200000 /dev/zero > c')],
    })
    await t.store.templates.remove(parent.templateId)
    // All but the base, which nothing is built on here.
    expect(await collect(0)).toMatchObject({ layers: 1 })
    expect((await images()).toSorted()).toEqual([parent.image, child.image].toSorted())
    await t.store.templates.remove(child.templateId)
    expect(await collect(150_000)).toMatchObject({ layers: 1 })
    expect(await images()).toEqual([parent.image])
    expect(await collect(0)).toMatchObject({ layers: 1 })
    expect(await images()).toEqual([])
  })

  test('is emptied by the builds themselves', async () => {
    await using small = await startBuilder({ quotaBytes: 0 })
    const { build } = await small.build({ steps: [run('echo a > a'), run('echo b > b')] })
    const left = () => small.runtime.images.list(patience())
    while ((await left()).length > 1) await sleep(10)
    expect(await left()).toEqual([build.image])
  })
})

describe('builds', () => {
  test('without a tag go a while after a newer one has come, unless a sandbox is of them', async () => {
    const made: TemplateBuild[] = []
    for (const name of ['first', 'second', 'third', 'fourth']) {
      const templateId = made[0]?.templateId
      const spec = { steps: [run(`echo ${name} > file`)], tags: name === 'second' ? ['kept'] : ['default'] }
      made.push((await t.build(spec, templateId === undefined ? {} : { templateId })).build)
      now += day
    }
    const [first, second, third, fourth] = made
    await t.store.sandboxes.create(
      rowOf({ id: 'ione', state: 'paused', buildId: third?.id ?? '', image: 'none' }),
    )
    expect((await collect()).builds).toBe(0)
    now += 8 * day
    expect((await collect()).builds).toBe(1)
    const left = await t.store.builds.list({ templateId: fourth?.templateId ?? '' })
    expect(left.map(({ id }) => id)).toEqual([fourth?.id, third?.id, second?.id])
    expect(await t.store.builds.find(first?.id ?? '')).toBeUndefined()
  })

  test('that failed go after a month, but for the newest of a template', async () => {
    const { build: ready } = await t.build()
    const { templateId } = ready
    const { build: old } = await t.build({ steps: [run('false')] }, { templateId })
    const { build: last } = await t.build({ steps: [run('false')] }, { templateId })
    now += 31 * day
    expect((await collect()).builds).toBe(1)
    const left = (await t.store.builds.list({ templateId })).map(({ id }) => id)
    expect(left).toEqual([last.id, ready.id])
    expect(left).not.toContain(old.id)
  })
})
