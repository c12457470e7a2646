import { ServerError } from '../../domain/error.ts'
import type { Images, NamedImage } from '../../domain/images.ts'
import { type StockRecipe, stockImagePrefix, stockRepository } from '../../domain/stock-recipe.ts'
import type { Store } from '../../domain/store.ts'
import type { TemplateBuilder } from '../../domain/template-builder.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'

/**
 * How long an image is kept that isn't the newest of its template, in ms: servers of other versions may have it, which
 * build it again once it is gone.
 */
const keepMs = 7 * 24 * 3600_000

/** The stock template that recipes begin with. */
export interface BaseTemplate {
  name: string
  /** What the setup has made it of; null where it is no image */
  image: string | null
}

export interface ImageGarbageParts {
  store: Pick<Store, 'builds' | 'sandboxes' | 'templates'>
  images: Pick<Images, 'kept' | 'named' | 'remove'>
  builder: Pick<TemplateBuilder, 'owns'>
  recipes: readonly StockRecipe[]
  base: BaseTemplate
  clock: Clock
  log: Log
}

/**
 * Removes images of these recipes' templates, and of the base, that no row and no build here has, and that are neither the
 * newest of the recipe nor of the template nor new; of templates whose recipe is gone, all but those that are new, and
 * the template after them. Resolves with how many images. Errors: `unavailable`, `canceled`.
 */
export async function collectStockImages(parts: ImageGarbageParts, signal: AbortSignal): Promise<number> {
  const { store, images, builder, recipes, base, clock, log } = parts
  const gone = await templatesWithoutRecipe(parts)
  for (const name of gone) await dropUnusedBuilds(store, name)
  const kept = await images.kept(signal)
  const rows = [...(await store.builds.list({})), ...(await store.sandboxes.list({}))]
  const used = new Set(rows.map(({ image }) => image))
  const since = clock.now() - keepMs
  const isCurrentBase = (image: string) => image === base.image
  const old = [
    ...recipes.flatMap((recipe) =>
      superseded(imagesOf(kept, recipe.name), (image) => image.startsWith(stockImagePrefix(recipe))),
    ),
    ...gone.flatMap((name) => imagesOf(kept, name)),
    ...superseded(await images.named(stockRepository(base.name), signal), isCurrentBase),
  ].filter(({ createdAt }) => createdAt < since)
  const removed = new Set<string>()
  for (const { image } of old) {
    if (used.has(image) || builder.owns(image)) continue
    try {
      await images.remove(image, signal)
      log.info({ image }, 'removed an image of a stock template that is no longer the newest')
      removed.add(image)
    } catch (error) {
      // Another server has a guest of it.
      if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
    }
  }
  for (const name of gone) {
    const isLeft = imagesOf(kept, name).some(({ image }) => !removed.has(image))
    if (!isLeft && (await store.builds.count({ templateId: name })) === 0) await store.templates.remove(name)
  }
  return removed.size
}

/** Names of stock templates that this server once had a recipe of. */
export async function templatesWithoutRecipe({
  store,
  recipes,
  base,
}: Pick<ImageGarbageParts, 'store' | 'recipes' | 'base'>): Promise<string[]> {
  const known = new Set([base.name, ...recipes.map(({ name }) => name)])
  const all = await store.templates.list({ teamId: null, kind: 'template' })
  return all.flatMap(({ id }) => (known.has(id) ? [] : [id]))
}

async function dropUnusedBuilds(store: ImageGarbageParts['store'], templateId: string): Promise<void> {
  for (const { id } of await store.builds.list({ templateId })) {
    if ((await store.sandboxes.list({ buildId: id, limit: 1 })).length === 0) await store.builds.remove(id)
  }
}

function imagesOf<T extends NamedImage>(kept: readonly T[], name: string): T[] {
  return kept.filter(({ image }) => image.startsWith(`${stockRepository(name)}:`))
}

/** Of a template's images, newest first, all but the newest of all and the newest of those that are current. */
function superseded(ofTemplate: readonly NamedImage[], isCurrent: (image: string) => boolean): NamedImage[] {
  const current = ofTemplate.find(({ image }) => isCurrent(image))
  return ofTemplate.filter((each, place) => place > 0 && each !== current)
}
