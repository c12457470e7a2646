import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  buildSpec,
  env,
  run,
  startBuilder,
  type TestBuilder,
  user,
  workdir,
} from '../../tests/support/builder.ts'
import type { BuildStep } from '../domain/template-builder.ts'

let t: TestBuilder
beforeEach(async () => {
  t = await startBuilder()
})
afterEach(() => t[Symbol.asyncDispose]())

const patience = () => AbortSignal.timeout(30_000)
const steps = [run('date +%N > one'), env(['A', '1']), workdir('sub'), user('root'), run('date +%N > two')]
const cached = (log: string[]) => log.filter((line) => line.startsWith('CACHED'))

describe('the cache', () => {
  test('gives the same image for the same steps, whatever the template', async () => {
    const first = await t.build({ steps })
    const second = await t.build({ steps })
    expect(first.build.reason).toBeNull()
    expect(cached(first.log)).toEqual([])
    expect(cached(second.log)).toHaveLength(6)
    expect(second.build).toMatchObject({ image: first.build.image, defaults: first.build.defaults })
  })

  test('ends at the first step that is another one', async () => {
    const { build } = await t.build({ steps })
    const other = await t.build({ steps: [...steps.slice(0, 4), run('echo other'), run('echo last')] })
    expect(cached(other.log)).toHaveLength(5)
    expect(other.build.image).not.toBe(build.image)
    const changed = await t.build({ steps: [steps[0] as BuildStep, env(['A', '2']), ...steps.slice(2)] })
    expect(cached(changed.log)).toHaveLength(3)
  })

  test('is passed over from a step on that is forced, whose layers are used from then on', async () => {
    const first = await t.build({ steps })
    const forced = await t.build({
      steps: [...steps.slice(0, 4), { ...(steps[4] as BuildStep), force: true }],
    })
    expect(cached(forced.log)).toHaveLength(5)
    expect(forced.build.image).not.toBe(first.build.image)
    const third = await t.build({ steps })
    expect(cached(third.log)).toHaveLength(6)
    expect(third.build.image).toBe(forced.build.image)
  })

  test('is passed over whole by a build that is forced', async () => {
    const first = await t.build({ steps })
    const forced = await t.build({ steps, force: true })
    expect(cached(forced.log)).toEqual([])
    expect(forced.build.image).not.toBe(first.build.image)
  })

  test("doesn't show one team's layers to another", async () => {
    await t.build({ steps })
    const other = await t.build({ steps }, { teamId: 'other' })
    expect(other.build.status).toBe('ready')
    expect(cached(other.log)).toEqual([])
  })

  test('makes a layer again whose image is gone', async () => {
    const { build } = await t.build({ steps })
    const layers = await t.store.layers.list({ image: build.image ?? '' })
    await t.runtime.images.remove(build.image ?? '', patience())
    const again = await t.build({ steps })
    expect(cached(again.log)).toHaveLength(5)
    expect(again.build.status).toBe('ready')
    expect(await t.store.layers.list({ image: build.image ?? '' })).toEqual([])
    expect(layers).toHaveLength(1)
  })

  test('says of each layer when it was used last', async () => {
    await t.build({ steps })
    const before = await t.store.layers.list({})
    await t.build({ steps })
    const after = await t.store.layers.list({})
    expect(after).toHaveLength(before.length)
    expect(Math.min(...after.map(({ lastUsedAt }) => lastUsedAt))).toBeGreaterThan(
      Math.max(...before.map(({ lastUsedAt }) => lastUsedAt)),
    )
  })

  test('of what failed keeps nothing', async () => {
    await t.build({ steps: [run('touch half; false')] })
    const { log } = await t.build({ steps: [run('touch half; false')] })
    expect(cached(log)).toEqual(['CACHED [base] FROM none [none]'])
    // The base alone.
    expect(await t.runtime.images.list(patience())).toHaveLength(1)
  })
})

describe('builds of the same step at a time', () => {
  const slow = [run('sleep 0.5; date +%N > made')]

  test('make it once', async () => {
    const built = await Promise.all(Array.from({ length: 5 }, () => t.build({ steps: slow })))
    expect(new Set(built.map(({ build }) => build.image)).size).toBe(1)
    const made = built.filter(({ log }) =>
      log.includes(`[builder 1/1] RUN ${slow[0]?.type === 'RUN' ? slow[0].command : ''}`),
    )
    expect(made).toHaveLength(1)
    expect(await t.store.layers.list({})).toHaveLength(2)
  })

  test('go on when the one that makes it is cancelled, or fails', async () => {
    const maker = await t.create()
    const steps = [run('echo here; sleep 1')]
    await t.builder.start(maker, buildSpec({ steps }))
    await t.said(maker.id, ': here')
    const waiting = [await t.create(), await t.create(), await t.create()]
    for (const row of waiting) await t.builder.start(row, buildSpec({ steps }))
    const [impatient, ...patient] = waiting
    await t.said(impatient?.id ?? '', 'waits for another build')
    await t.builder.cancel(impatient?.id ?? '', 'no more')
    expect((await t.store.builds.find(impatient?.id ?? ''))?.status).toBe('error')
    await t.builder.cancel(maker.id, 'no more')
    const built = await Promise.all(patient.map(({ id }) => t.ended(id)))
    expect(built.map(({ build }) => build.status)).toEqual(['ready', 'ready'])
    expect(new Set(built.map(({ build }) => build.image)).size).toBe(1)
  })

  test('of one name both become ready, and the tag is the one that ends last', async () => {
    const { build } = await t.build({ steps: [run('true')] })
    const { templateId } = build
    const [one, other] = await Promise.all([
      t.build({ steps: [run('echo one > file')] }, { templateId }),
      t.build({ steps: [run('echo other > file')] }, { templateId }),
    ])
    const last = (one.build.finishedAt ?? 0) > (other.build.finishedAt ?? 0) ? one : other
    expect(await t.store.tags.find(templateId, 'default')).toMatchObject({ buildId: last.build.id })
  })
})

describe('many builds', () => {
  test('wait for their turn, and say so', async () => {
    await using one = await startBuilder({ maxRunning: 1 })
    const first = await one.create()
    await one.builder.start(first, buildSpec({ steps: [run('echo here; sleep 60')] }))
    await one.said(first.id, ': here')
    const second = await one.create()
    await one.builder.start(second, buildSpec({ steps: [run('echo there')] }))
    expect((await one.store.builds.find(second.id))?.status).toBe('building')
    await one.said(second.id, 'Waiting for a turn')
    const third = await one.create()
    await one.builder.start(third, buildSpec())
    await one.builder.cancel(third.id, 'no more')
    expect((await one.store.builds.find(third.id))?.reason).toEqual({ message: 'no more', step: null })
    await one.builder.cancel(first.id, 'enough')
    expect((await one.ended(second.id)).build.status).toBe('ready')
  })

  test('of one team are bounded, and others go on', async () => {
    await using one = await startBuilder({ maxRunning: 1 })
    const rows = await Promise.all(Array.from({ length: 21 }, () => one.create()))
    const spec = buildSpec({ steps: [run('sleep 60')] })
    for (const row of rows.slice(0, 20)) await one.builder.start(row, spec)
    const last = rows[20]
    if (last === undefined) throw new Error('no row')
    await expect(one.builder.start(last, spec)).rejects.toMatchObject({
      code: 'resource_exhausted',
      message: expect.stringContaining('maximum number of concurrent'),
    })
    expect((await one.store.builds.find(last.id))?.status).toBe('waiting')
    await one.builder.start(await one.create({ teamId: 'other' }), spec)
  })
})
