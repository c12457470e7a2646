import { expect, test } from 'vitest'
import { run } from '../../../tests/support/builder.ts'
import {
  anySandbox,
  createTestBuilder,
  createTestStock,
  openTestArchives,
  rowOf,
  startControl,
} from '../../../tests/support/control.ts'
import type { Runtime } from '../../domain/runtime.ts'
import type { StockRecipe } from '../../domain/stock-recipe.ts'
import { systemClock } from '../../lib/clock.ts'
import { openSqliteStore } from '../../store/dialects/sqlite.ts'
import type { ControlContext } from '../context.ts'
import { createSandbox } from '../create-sandbox.ts'
import { killSandbox } from '../kill-sandbox.ts'
import { createBuild } from '../templates/create.ts'
import { startBuild } from '../templates/start.ts'

const signal = () => AbortSignal.timeout(30_000)
const create = (control: ControlContext, template: string) =>
  createSandbox(control, { ...anySandbox, template }, { signal: signal(), phase: () => {} })
const ready = async ({ stock }: ControlContext, name: string) => {
  await expect
    .poll(async () => (await stock.list()).find(({ recipe }) => recipe.name === name)?.state, {
      timeout: 20_000,
    })
    .not.toBe('building')
}

function recipeOf(recipe: Partial<StockRecipe> & { commands?: string[] } = {}): StockRecipe {
  const { commands = ['echo made > ~/made'], ...rest } = recipe
  return {
    ...{ name: 'tiny-v1', aliases: ['tiny-v1', 'tiny'], from: 'base', digest: '0123456789ab' },
    ...{ cpuCount: 1, memoryMb: 256, diskMb: 1024, startCmd: null, readyCmd: null },
    read: async () => commands.map((command) => run(command)),
    ...rest,
  }
}

/** A clock that tests move. */
function movedClock() {
  let ahead = 0
  return {
    now: () => Date.now() + ahead,
    move(ms: number) {
      ahead += ms
    },
  }
}

test('whoever asks first has it built, once, is told how far it is, and gets it by each of its names then', async () => {
  await using parts = await startControl({ recipes: [recipeOf({ commands: ['sleep 1', 'true'] })] })
  const { control } = parts
  await control.stock.open()
  const asked = await Promise.allSettled([create(control, 'tiny'), create(control, 'tiny-v1')])
  for (const outcome of asked) {
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: {
        code: 'unavailable',
        retryAfterS: 10,
        message: expect.stringMatching(/"tiny-v1" is being built.*templates list/),
      },
    })
  }
  await expect
    .poll(() => create(control, 'tiny').catch(({ message }) => message), { interval: 20 })
    .toMatch(/step 1 of 2/)
  expect(await control.store.builds.count({ templateId: 'tiny-v1' })).toBe(1)
  await ready(control, 'tiny-v1')
  for (const name of ['tiny', 'tiny-v1', 'e2b/tiny']) {
    const sandbox = await create(control, name)
    expect(sandbox).toMatchObject({ templateId: 'tiny-v1', alias: 'tiny-v1', cpuCount: 1, memoryMb: 256 })
    expect(sandbox.image).toMatch(/^e2b-server\/tiny-v1:0123456789ab-[a-z0-9]+$/)
    await killSandbox(control, { teamId: 'team', id: sandbox.id }, signal())
  }
})

test('a build that fails says why, isn’t begun again by those who ask at once, but some time later and by its operator', async () => {
  const clock = movedClock()
  await using parts = await startControl({
    clock,
    recipes: [recipeOf({ commands: ['echo oh dear; exit 3'] })],
  })
  const { control } = parts
  await control.stock.open()
  await expect(create(control, 'tiny')).rejects.toMatchObject({ code: 'unavailable' })
  await ready(control, 'tiny-v1')
  const [{ build: failed } = {}] = await control.stock.list()
  for (const _ of [1, 2]) {
    await expect(create(control, 'tiny')).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(/exit status 3.*templates log tiny-v1.*templates build tiny-v1/),
    })
  }
  expect((await control.store.builds.list({ templateId: 'tiny-v1' })).map(({ id }) => id)).toEqual([
    failed?.id,
  ])
  const again = await control.stock.build(control.stock.find('tiny'), { force: false })
  expect(again.id).not.toBe(failed?.id)
  await ready(control, 'tiny-v1')
  await expect(create(control, 'tiny')).rejects.toMatchObject({ code: 'failed_precondition' })
  clock.move(10 * 60_000)
  await expect(create(control, 'tiny')).rejects.toMatchObject({ code: 'unavailable' })
  await ready(control, 'tiny-v1')
  // The newest one's log is kept.
  expect(await control.store.builds.count({ templateId: 'tiny-v1' })).toBe(1)
})

test('what it is made of comes first, also where that is made by a recipe', async () => {
  const upper = recipeOf({ name: 'upper', aliases: ['upper'], from: 'tiny-v1', commands: ['test -f ~/made'] })
  await using parts = await startControl({
    recipes: [recipeOf({ commands: ['sleep 1; echo made > ~/made'] }), upper],
  })
  const { control } = parts
  await control.stock.open()
  const asked = () => create(control, 'upper').catch(({ message }) => message)
  await expect.poll(asked, { interval: 20 }).toMatch(/"tiny-v1", which it is made of, comes first/)
  await ready(control, 'upper')
  const [lower, above] = await control.stock.list()
  expect([lower?.state, above?.state]).toEqual(['ready', 'ready'])
})

test('what begins with E2B’s image of that name begins with it, once it is built', async () => {
  await using parts = await startControl({
    recipes: [recipeOf({ name: 'desktop', aliases: ['desktop'], startCmd: 'sleep 60', readyCmd: 'true' })],
  })
  const { control } = parts
  await control.stock.open()
  const { build } = await createBuild(control, { teamId: 'team', name: 'mine' })
  const start = (image: string) =>
    startBuild(
      control,
      { teamId: 'team', template: build.templateId, buildId: build.id },
      {
        ...{ from: { image, credentials: null }, steps: [run('test -f ~/made')] },
        ...{ force: false, startCmd: null, readyCmd: null },
      },
    )
  await expect(start('e2bdev/desktop:latest')).rejects.toMatchObject({
    code: 'unavailable',
    retryAfterS: 10,
    message: expect.stringMatching(/"desktop" is being built/),
  })
  expect(await control.store.builds.find(build.id)).toMatchObject({ status: 'waiting' })
  await ready(control, 'desktop')
  await start('docker.io/e2bdev/desktop')
  await control.builder.ended(build.id)
  expect(await control.store.builds.find(build.id)).toMatchObject({
    status: 'ready',
    defaults: { startCmd: 'sleep 60', readyCmd: 'true' },
  })
})

test('another server with the same engine has what this one has built, whether it starts before or after', async () => {
  const recipe = recipeOf({ readyCmd: 'true' })
  await using parts = await startControl({ recipes: [recipe] })
  const { control, runtime } = parts
  await control.stock.open()
  await using early = await otherServer(runtime, recipe)
  await control.stock.build(recipe, { force: false })
  await ready(control, 'tiny-v1')
  expect(await early.stock.list()).toMatchObject([{ state: 'missing' }])
  await early.stock.build(recipe, { force: false })
  await expect.poll(() => early.stock.list()).toMatchObject([{ state: 'ready' }])
  await using late = await otherServer(runtime, recipe)
  for (const { stock, store } of [early, late]) {
    const [status] = await stock.list()
    const { build } = status!
    expect(status).toMatchObject({
      state: 'ready',
      isCurrent: true,
      build: { defaults: { readyCmd: 'true' } },
    })
    expect((await stock.build(recipe, { force: false })).id).toBe(build?.id)
    expect(await store.buildLogs.list({ buildId: build!.id, limit: 1 })).toEqual([])
  }
})

async function otherServer(runtime: Runtime, recipe: StockRecipe) {
  const store = await openSqliteStore({ path: ':memory:' })
  const clock = systemClock()
  const { archives, removeArchives } = await openTestArchives(store, clock)
  const builder = createTestBuilder({ runtime, store, clock, archives })
  const stock = createTestStock({ runtime, store, builder, clock }, [recipe])
  await stock.open()
  return {
    ...{ stock, store },
    async [Symbol.asyncDispose]() {
      await builder.close()
      await stock.close()
      await store.close()
      await removeArchives()
    },
  }
}

test('a new recipe is built while the old one is still given; old images go some time later', async () => {
  const clock = movedClock()
  await using parts = await startControl({ clock, recipes: [recipeOf()] })
  const { control, runtime } = parts
  await control.stock.open()
  await control.stock.build(recipeOf(), { force: false })
  await ready(control, 'tiny-v1')
  const newer = recipeOf({ digest: 'fedcba987654', commands: ['echo newer > ~/made'] })
  control.stock = createTestStock({ ...control, runtime }, [newer])
  await control.stock.open()
  const old = await create(control, 'tiny')
  expect(old.image).toMatch(/0123456789ab/)
  await ready(control, 'tiny-v1')
  const young = await create(control, 'tiny')
  expect(young.image).toMatch(/fedcba987654/)
  clock.move(8 * 24 * 3600_000)
  expect(await control.stock.collect(signal())).toBe(0)
  for (const { id } of [old, young]) await killSandbox(control, { teamId: 'team', id }, signal())
  await control.endings.idle()
  await control.stock.open()
  expect(await control.stock.collect(signal())).toBe(0)
  await control.stock.build(newer, { force: true })
  await ready(control, 'tiny-v1')
  // Of the old recipe, and the one that was made again.
  expect(await control.stock.collect(signal())).toBe(0)
  expect((await runtime.images.kept(signal())).map(({ image }) => image.slice(0, 30))).toHaveLength(1)
})

test('a template whose recipe is gone is given to nobody, and goes with its images once nobody is of it', async () => {
  const clock = movedClock()
  await using parts = await startControl({ clock, recipes: [recipeOf()] })
  const { control, runtime } = parts
  await control.stock.open()
  await control.stock.build(recipeOf(), { force: false })
  await ready(control, 'tiny-v1')
  const sandbox = await create(control, 'tiny')
  control.stock = createTestStock({ ...control, runtime })
  await control.stock.open()
  await expect(create(control, 'tiny')).rejects.toMatchObject({ code: 'not_found' })
  clock.move(8 * 24 * 3600_000)
  expect(await control.stock.collect(signal())).toBe(0)
  // Its folder is there again.
  control.stock = createTestStock({ ...control, runtime }, [recipeOf()])
  await control.stock.open()
  const again = await create(control, 'tiny')
  expect(again.image).toBe(sandbox.image)
  for (const { id } of [sandbox, again]) await killSandbox(control, { teamId: 'team', id }, signal())
  await control.endings.idle()
  control.stock = createTestStock({ ...control, runtime })
  await control.stock.open()
  clock.move(-8 * 24 * 3600_000)
  expect(await control.stock.collect(signal())).toBe(0)
  clock.move(8 * 24 * 3600_000)
  expect(await control.stock.collect(signal())).toBe(1)
  expect(await runtime.images.kept(signal())).toEqual([])
  expect(await control.store.templates.find('tiny-v1')).toBeUndefined()
  expect(await control.store.templates.find('base')).toBeDefined()
})

test('of the base, images that the setup made before go some time later, but for what is used and the newest', async () => {
  const clock = movedClock()
  await using parts = await startControl({ clock })
  const { control, runtime } = parts
  const names = ['1', '2', '3', '4'].map((digit) => `e2b-server/base:${digit.repeat(12)}`)
  for (const name of names) await runtime.images.flatten('none', name, signal())
  const [used = '', , current = '', newest] = names
  await control.store.sandboxes.create(rowOf({ id: 'ione', state: 'paused', image: used }))
  control.stock = createTestStock({ ...control, runtime, base: { name: 'base', image: current } })
  const left = async () => (await runtime.images.named('e2b-server/base', signal())).map(({ image }) => image)
  expect(await control.stock.collect(signal())).toBe(0)
  clock.move(8 * 24 * 3600_000)
  expect(await control.stock.collect(signal())).toBe(1)
  expect(await left()).toEqual([newest, current, used])
})

test('what a crash broke off and what is gone from the engine is made again', async () => {
  const recipe = recipeOf()
  const clock = movedClock()
  await using parts = await startControl({ clock, recipes: [recipe] })
  const { control, runtime } = parts
  await control.stock.open()
  const { id } = await control.stock.build(recipe, { force: false })
  await ready(control, 'tiny-v1')
  await control.store.builds.create({
    ...(await control.store.builds.find(id))!,
    id: crypto.randomUUID(),
    status: 'building',
  })
  clock.move(1)
  control.stock = createTestStock({ ...control, runtime }, [recipe])
  await control.stock.open()
  expect((await control.store.builds.list({ statuses: ['building', 'waiting'] })).length).toBe(0)
  const sandbox = await create(control, 'tiny')
  await killSandbox(control, { teamId: 'team', id: sandbox.id }, signal())
  await control.endings.idle()
  await runtime.images.remove(sandbox.image, signal())
  await expect(create(control, 'tiny')).rejects.toMatchObject({ code: 'not_found' })
  await expect(create(control, 'tiny')).rejects.toMatchObject({ code: 'unavailable' })
  await ready(control, 'tiny-v1')
  await create(control, 'tiny')
})

test('one that is deleted is built again when it is needed, and not while sandboxes are of it', async () => {
  const recipe = recipeOf()
  await using parts = await startControl({ recipes: [recipe] })
  const { control, runtime } = parts
  await control.stock.open()
  await control.stock.build(recipe, { force: false })
  await ready(control, 'tiny-v1')
  const sandbox = await create(control, 'tiny')
  await expect(control.stock.remove(recipe)).rejects.toMatchObject({ code: 'invalid_argument' })
  await killSandbox(control, { teamId: 'team', id: sandbox.id }, signal())
  await control.endings.idle()
  await control.stock.remove(recipe)
  expect(await runtime.images.kept(signal())).toEqual([])
  expect(await control.stock.list()).toMatchObject([{ state: 'missing' }])
  await expect(create(control, 'tiny')).rejects.toMatchObject({ code: 'unavailable' })
  await control.stock.build(recipe, { force: false })
  await control.stock.remove(recipe)
  expect(await runtime.images.kept(signal())).toEqual([])
})

test('a team’s own template of that name is what it means; where nothing is built on demand, the operator is named', async () => {
  const recipe = recipeOf()
  await using parts = await startControl({ recipes: [recipe] })
  const { control, runtime } = parts
  control.stock = createTestStock({ ...control, runtime }, [recipe], { buildsOnDemand: false })
  await control.stock.open()
  await expect(create(control, 'tiny')).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('templates build tiny-v1'),
  })
  expect(await control.store.builds.count({ templateId: 'tiny-v1' })).toBe(0)
  const { templates, builds, tags } = control.store
  const base = (await builds.list({ templateId: 'base' }))[0]!
  await templates.create({
    ...(await templates.find('tiny-v1'))!,
    id: 'own',
    teamId: 'team',
    aliases: ['tiny'],
  })
  await builds.create({ ...base, id: crypto.randomUUID(), templateId: 'own', teamId: 'team' })
  await tags.assign('own', ['default'], (await builds.list({ templateId: 'own' }))[0]!.id, 1)
  expect(await create(control, 'tiny')).toMatchObject({ templateId: 'own' })
})
