import type { Layer } from '../domain/template-layer.ts'

export interface FreeableLayer {
  item: Layer
  /** When it, or what is built on it, was used last */
  lastUsedAt: number
}

/**
 * The layers whose images nothing in use is built on, least recently used first, and of those that are built on one another
 * the last one first: an image takes its disk for as long as one is that is built on it, so its removal would free nothing.
 */
export function freeableLayers(
  layers: readonly Layer[],
  isUsed: (image: string) => boolean,
): FreeableLayer[] {
  const parents = new Map(layers.flatMap(({ image, parent }) => (parent === null ? [] : [[image, parent]])))
  const needed = new Set<string>()
  const lastUsed = new Map<string, number>()
  for (const { image, lastUsedAt } of layers) {
    const line = lineOf(image, parents)
    if (isUsed(image)) for (const each of line) needed.add(each)
    for (const each of line) lastUsed.set(each, Math.max(lastUsedAt, lastUsed.get(each) ?? 0))
  }
  return layers
    .filter(({ image }) => !needed.has(image))
    .map((item) => ({
      item,
      lastUsedAt: lastUsed.get(item.image) ?? 0,
      depth: lineOf(item.image, parents).length,
    }))
    .sort(
      (one, other) =>
        one.lastUsedAt - other.lastUsedAt ||
        other.depth - one.depth ||
        // Rows that add nothing to an image go before the one that stands for its bytes.
        one.item.sizeBytes - other.item.sizeBytes,
    )
}

/** An image and those that it is built on. */
function lineOf(image: string, parents: ReadonlyMap<string, string>): string[] {
  const line = new Set<string>()
  for (
    let each: string | undefined = image;
    each !== undefined && !line.has(each);
    each = parents.get(each)
  ) {
    line.add(each)
  }
  return [...line]
}
