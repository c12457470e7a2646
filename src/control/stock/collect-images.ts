import { ServerError } from '../../domain/error.ts'
import type { Images, KeptImage } from '../../domain/images.ts'
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

export interface ImageGarbageParts {
  store: Pick<Store, 'builds' | 'sandboxes'>
  images: Pick<Images, 'kept' | 'remove'>
  builder: Pick<TemplateBuilder, 'owns'>
  recipes: readonly StockRecipe[]
  clock: Clock
  log: Log
}

/**
 * Removes images of these recipes' templates that no row and no build here has, and that are neither the newest of the
 * recipe nor of the template nor new. Resolves with how many. Errors: `unavailable`, `canceled`.
 */
export async function collectStockImages(
  { store, images, builder, recipes, clock, log }: ImageGarbageParts,
  signal: AbortSignal,
): Promise<number> {
  const kept = await images.kept(signal)
  const rows = [...(await store.builds.list({})), ...(await store.sandboxes.list({}))]
  const used = new Set(rows.map(({ image }) => image))
  const since = clock.now() - keepMs
  const old = recipes
    .flatMap((recipe) => superseded(kept, recipe))
    .filter(({ createdAt }) => createdAt < since)
  let removed = 0
  for (const { image } of old) {
    if (used.has(image) || builder.owns(image)) continue
    try {
      await images.remove(image, signal)
      log.info({ image }, 'removed an image of a stock template that is no longer the newest')
      removed++
    } catch (error) {
      // Another server has a guest of it.
      if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
    }
  }
  return removed
}

function superseded(kept: readonly KeptImage[], recipe: StockRecipe): KeptImage[] {
  const ofTemplate = kept.filter(({ image }) => image.startsWith(`${stockRepository(recipe.name)}:`))
  const current = ofTemplate.find(({ image }) => image.startsWith(stockImagePrefix(recipe)))
  return ofTemplate.filter((each, place) => place > 0 && each !== current)
}
