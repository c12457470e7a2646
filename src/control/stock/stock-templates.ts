/**
 * Stock templates that are made by recipes, when they are first asked for. What is made is kept with the engine, so that
 * another server there, or this one with another state, begins with it. Of each one build runs at a time.
 */
import { randomUUID } from 'node:crypto'
import { ServerError, toError } from '../../domain/error.ts'
import type { Images } from '../../domain/images.ts'
import { type StockRecipe, stockImagePrefix } from '../../domain/stock-recipe.ts'
import type { Store } from '../../domain/store.ts'
import { noDefaults, readDefaults, type TemplateBuild } from '../../domain/template-build.ts'
import type { TemplateBuilder } from '../../domain/template-builder.ts'
import { defaultTag } from '../../domain/template-name.ts'
import type { Clock } from '../../lib/clock.ts'
import { newId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import { patientSignal } from '../../lib/patience.ts'
import { dropOldBuilds, putStockRow, putStockTemplate } from '../stock-template.ts'
import { type BaseTemplate, collectStockImages, templatesWithoutRecipe } from './collect-images.ts'
import { type StockProgress, unreadyError } from './unready-error.ts'

/** How long a build that failed isn't begun again by those who only ask for the template, in ms. */
const retryMs = 10 * 60_000
/** How long questions to the engine may take, in ms. */
const lookMs = 60_000

export interface StockParts {
  store: Store
  builder: TemplateBuilder
  images: Images
  /** Name of the runtime */
  runtime: string
  recipes: readonly StockRecipe[]
  base: BaseTemplate
  /** Whether whoever asks for a template that isn't built begins its build; its operator may always */
  buildsOnDemand: boolean
  clock: Clock
  log: Log
}

/** How a stock template is. */
export interface StockStatus {
  recipe: StockRecipe
  state: 'ready' | 'building' | 'failed' | 'missing'
  /** False: what sandboxes get is of an earlier recipe */
  isCurrent: boolean
  /** Of a build that runs */
  progress: StockProgress | null
  /** The newest */
  build: TemplateBuild | undefined
}

export interface StockTemplates {
  /** Records what the engine has of them, and ends what a crash broke off. Errors: `unavailable` (engine). */
  open(): Promise<void>
  /**
   * Passes for a build that sandboxes can be made of, and for what isn't made by a recipe; an old one is renewed meanwhile.
   * Errors: `unavailable` while it is built, with when to come again; `failed_precondition` with why it couldn't be;
   * `not_found` where builds aren't begun like this.
   */
  demand(templateId: string, current: TemplateBuild | undefined): Promise<void>
  /** Forgets an image that the engine has no more, so that it is made again. Never rejects. */
  look(templateId: string): Promise<void>
  list(): Promise<StockStatus[]>
  /** By any of its names. Errors: `not_found`. */
  find(name: string): StockRecipe
  /** Begins a build, unless one runs or, without `force`, there is one of the recipe; resolves with that one. */
  build(recipe: StockRecipe, options: { force: boolean }): Promise<TemplateBuild>
  /** Removes its builds and images. Errors: `invalid_argument` while sandboxes are made of it. */
  remove(recipe: StockRecipe): Promise<void>
  /** Removes images of earlier recipes that nobody uses, some time after they were made; resolves with how many. */
  collect(signal: AbortSignal): Promise<number>
  /** Resolves when no build of them is left. The builder has been closed. */
  close(): Promise<void>
}

interface Running {
  buildId: string
  stepCount: number | null
  waitsFor: string | null
  recorded: Promise<void>
  /** Never rejects */
  done: Promise<void>
}

export function createStockTemplates(parts: StockParts): StockTemplates {
  const { store, builder, images, recipes, base, clock, log } = parts
  const openedAt = clock.now()
  const running = new Map<string, Running>()
  const byName = new Map(recipes.map((recipe) => [recipe.name, recipe]))
  const patience = () => patientSignal(lookMs)

  const currentOf = async (name: string) => {
    const tag = await store.tags.find(name, defaultTag)
    const build = tag && (await store.builds.find(tag.buildId))
    return build?.status === 'ready' ? build : undefined
  }
  const isOf = (recipe: StockRecipe, build: TemplateBuild | undefined) =>
    build?.image?.startsWith(stockImagePrefix(recipe)) ?? false
  const newestOf = async (name: string) => (await store.builds.list({ templateId: name, limit: 1 }))[0]
  const collect = (signal: AbortSignal) =>
    collectStockImages({ store, images, builder, recipes, base, clock, log }, signal)

  /** Of a build that has failed lately, under this server. */
  const recentFailure = async (name: string) => {
    const newest = await newestOf(name)
    const failed = newest?.status === 'error' && newest.createdAt >= openedAt ? newest : undefined
    return failed !== undefined && clock.now() - (failed.finishedAt ?? 0) < retryMs ? failed : undefined
  }

  const progressOf = async ({ buildId, stepCount, waitsFor }: Running): Promise<StockProgress> => {
    const [last] = await store.buildLogs.list({ buildId, order: 'desc', limit: 1 })
    return { step: last?.step ?? null, stepCount, waitsFor }
  }

  /** The one that runs, or a new one; known to all before this returns. */
  const begin = (recipe: StockRecipe, force: boolean): Running => {
    const other = running.get(recipe.name)
    if (other !== undefined) return other
    const build = newBuild(parts, recipe)
    const recorded = record(recipe, build)
    const entry: Running = {
      ...{ buildId: build.id, stepCount: null, waitsFor: null },
      ...{ recorded, done: Promise.resolve() },
    }
    running.set(recipe.name, entry)
    entry.done = recorded
      .then(() => make(recipe, build, { force, entry }))
      .catch((error) => log.error({ template: recipe.name, err: error }, 'a stock template is not built'))
      .finally(() => running.delete(recipe.name))
    return entry
  }

  const record = async (recipe: StockRecipe, build: TemplateBuild) => {
    await putStockRow(store, recipe, clock.now())
    await store.builds.create(build, { plan: { tags: [defaultTag], minFreeDiskMb: null } })
  }

  const make = async (
    recipe: StockRecipe,
    build: TemplateBuild,
    { force, entry }: { force: boolean; entry: Running },
  ) => {
    const { startCmd, readyCmd, diskMb } = recipe
    try {
      const found = force ? undefined : await findKept(recipe)
      if (found !== undefined) {
        // Another server has made it meanwhile.
        await store.builds.update(build.id, { status: 'building', startedAt: clock.now() }, 'waiting')
        await store.builds.complete(build.id, { ...found, diskMb, at: clock.now(), tags: [defaultTag] })
        return await dropOldBuilds(store, recipe.name)
      }
      const from = { build: await parentOf(recipe, entry) }
      const steps = await recipe.read()
      entry.stepCount = steps.length
      const keepAs = `${stockImagePrefix(recipe)}${newId()}`
      const more = { minFreeDiskMb: null, tags: [defaultTag], keepAs }
      await builder.start(build, { from, steps, force, startCmd, readyCmd, ...more })
    } catch (error) {
      await builder.cancel(build.id, toError(error).message)
      throw error
    }
    await builder.ended(build.id)
    await dropOldBuilds(store, recipe.name)
    await collect(patience()).catch((error) =>
      log.warn({ err: error }, 'images of earlier stock templates are left to a later time'),
    )
  }

  /** The build that a recipe's steps begin with, which is made before where it isn't there. */
  const parentOf = async ({ from }: StockRecipe, entry: Running): Promise<TemplateBuild> => {
    const recipe = byName.get(from)
    const there = await currentOf(from)
    if (there !== undefined && (recipe === undefined || isOf(recipe, there))) return there
    if (recipe !== undefined) {
      entry.waitsFor = from
      await begin(recipe, false).done
      entry.waitsFor = null
    }
    const made = await currentOf(from)
    if (made !== undefined && (recipe === undefined || isOf(recipe, made))) return made
    const why = (await newestOf(from))?.reason?.message ?? 'it is not there'
    throw new ServerError(
      'failed_precondition',
      `The template "${from}", which it is made of, could not be built: ${why}`,
    )
  }

  /** The newest image of a recipe, whoever made it. */
  const findKept = async (recipe: StockRecipe) => {
    for (const { image, note } of await images.kept(patience())) {
      const defaults = image.startsWith(stockImagePrefix(recipe)) ? readDefaults(note) : undefined
      if (defaults !== undefined) return { image, defaults }
    }
    return undefined
  }

  const forgetMissing = async (name: string) => {
    const current = await currentOf(name)
    if (current?.image == null || (await images.inspect(current.image, patience())) !== undefined) return
    log.warn({ template: name, image: current.image }, "a stock template's image is gone")
    await store.tags.remove(name, [defaultTag])
    await dropOldBuilds(store, name)
  }

  return {
    async open() {
      // Nobody gets what has no recipe any more; its images and builds go as earlier ones do.
      for (const name of await templatesWithoutRecipe(parts)) await store.tags.remove(name, [defaultTag])
      for (const recipe of recipes) {
        const { name, aliases, cpuCount, memoryMb, diskMb } = recipe
        await putStockRow(store, recipe, clock.now())
        const broken = (await store.builds.list({ templateId: name })).filter(
          ({ status }) => status === 'waiting' || status === 'building',
        )
        for (const { id } of broken) await builder.cancel(id, 'The server ended while this build ran.')
        await forgetMissing(name)
        const found = isOf(recipe, await currentOf(name)) ? undefined : await findKept(recipe)
        if (found === undefined) continue
        const size = { cpuCount, memoryMb, diskMb }
        await putStockTemplate(
          store,
          { name, aliases, ...found, ...size, runtime: parts.runtime },
          clock.now(),
        )
      }
    },

    async demand(templateId, current) {
      const recipe = byName.get(templateId)
      if (recipe === undefined || isOf(recipe, current)) return
      const isUsable = current?.status === 'ready'
      let under = running.get(recipe.name)
      const failed = under === undefined ? await recentFailure(recipe.name) : undefined
      if (failed === undefined && parts.buildsOnDemand) under ??= begin(recipe, false)
      await under?.recorded
      if (isUsable) return
      throw unreadyError(recipe, { failed, progress: under && (await progressOf(under)), retryMs })
    },

    async look(templateId) {
      if (!byName.has(templateId)) return
      await forgetMissing(templateId).catch((error) => log.warn({ err: error }, 'an image was not looked at'))
    },

    list: () => Promise.all(recipes.map(statusOf)),

    find(name) {
      const recipe = recipes.find(({ aliases }) => aliases.includes(name))
      if (recipe !== undefined) return recipe
      const names = recipes.map((each) => `"${each.name}"`).join(', ')
      throw new ServerError(
        'not_found',
        `There is no recipe of a stock template "${name}". There are: ${names}.`,
      )
    },

    async build(recipe, { force }) {
      const current = await currentOf(recipe.name)
      if (!force && !running.has(recipe.name) && current !== undefined && isOf(recipe, current))
        return current
      const { buildId, recorded } = begin(recipe, force)
      await recorded
      const build = await store.builds.find(buildId)
      if (build === undefined) throw new ServerError('conflict', 'The build was removed.')
      return build
    },

    async remove(recipe) {
      const { name } = recipe
      if ((await store.sandboxes.list({ templateId: name, limit: 1 })).length > 0) {
        throw new ServerError(
          'invalid_argument',
          `Template "${name}" can't be deleted: there are paused or running sandboxes that use it. Kill them first.`,
        )
      }
      const under = running.get(name)
      if (under !== undefined) {
        await under.recorded
        await builder.cancel(under.buildId, 'Its template was deleted.')
        await under.done
      }
      const builds = await store.builds.list({ templateId: name })
      const ofRows = new Set(builds.map(({ image }) => image))
      for (const { id } of builds) await store.builds.remove(id)
      for (const { image } of await images.kept(patience())) {
        if (ofRows.has(image) || image.startsWith(stockImagePrefix(recipe)))
          await images.remove(image, patience())
      }
    },

    collect,

    async close() {
      await Promise.all([...running.values()].map(({ done }) => done))
    },
  }

  async function statusOf(recipe: StockRecipe): Promise<StockStatus> {
    const [current, build] = [await currentOf(recipe.name), await newestOf(recipe.name)]
    const under = running.get(recipe.name)
    const progress = under === undefined ? null : await progressOf(under)
    const state =
      under !== undefined ? 'building' : build?.status === 'error' ? 'failed' : current ? 'ready' : 'missing'
    return { recipe, state, isCurrent: isOf(recipe, current), progress, build }
  }
}

function newBuild(
  { runtime, clock }: StockParts,
  { name, cpuCount, memoryMb, diskMb }: StockRecipe,
): TemplateBuild {
  return {
    ...{ cpuCount, memoryMb, diskMb, runtime },
    ...{ id: randomUUID(), templateId: name, teamId: null, status: 'waiting', image: null },
    ...{ defaults: noDefaults, origin: null, reason: null },
    ...{ createdAt: clock.now(), startedAt: null, finishedAt: null },
  }
}
