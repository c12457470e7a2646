import type { Images } from '../domain/images.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'

/** How long removing one may take, in ms. */
const removeMs = 30_000

/**
 * Images that builds have fetched with credentials. They go when the last build that uses them ends, so that nobody finds
 * them here who hasn't shown that they may have them; what a build has made of one is its team's own.
 */
export interface PrivateImages {
  /** `isNew`: whether it wasn't here before. The result ends the use, and never rejects. */
  use(image: string, options: { isNew: boolean }): () => Promise<void>
}

export function createPrivateImages(images: Pick<Images, 'remove'>, log: Log): PrivateImages {
  /** How many builds use each that wasn't here before */
  const uses = new Map<string, number>()

  return {
    use(image, { isNew }) {
      if (!isNew && !uses.has(image)) return async () => {}
      uses.set(image, (uses.get(image) ?? 0) + 1)
      return async () => {
        const left = (uses.get(image) ?? 1) - 1
        if (left > 0) return void uses.set(image, left)
        uses.delete(image)
        await images
          .remove(image, patientSignal(removeMs))
          .catch((error) => log.warn({ image, err: error }, 'an image of a private registry is not removed'))
      }
    },
  }
}
