import { ServerError } from '../domain/error.ts'
import type { Images } from '../domain/images.ts'
import type { PrivateImageStore } from '../domain/template-layer.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'

/** How long removing one may take, in ms. */
const removeMs = 30_000

/**
 * Images that builds have fetched with credentials. They go when the last build that uses them ends, so that nobody finds
 * them here who hasn't shown that they may have them; what a build has made of one is its team's own. Each is recorded before
 * it is fetched, and until it is gone.
 */
export interface PrivateImages {
  /** Whether what is here by that name, or by another as the image with that id, is one of them. */
  has(image: string, id: string): Promise<boolean>
  /** Begins a use, before the image is fetched. */
  use(image: string): Promise<PrivateUse>
  /** Removes what a crash has left, or could not be removed then. Errors: those of the store; `unavailable`. */
  sweep(signal: AbortSignal): Promise<void>
}

export interface PrivateUse {
  /** Says which image the name means by now. */
  fetched(id: string): Promise<void>
  /** Never rejects. */
  end(): Promise<void>
}

export interface PrivateImagesParts {
  images: Pick<Images, 'remove'>
  store: PrivateImageStore
  log: Log
}

export function createPrivateImages({ images, store, log }: PrivateImagesParts): PrivateImages {
  /** How many builds use each */
  const uses = new Map<string, number>()
  const drop = async (image: string, signal: AbortSignal) => {
    await images.remove(image, signal)
    if (!uses.has(image)) await store.remove(image)
  }

  return {
    async has(image, id) {
      return (await store.list()).some((each) => each.image === image || each.imageId === id)
    },
    async use(image) {
      uses.set(image, (uses.get(image) ?? 0) + 1)
      const [known] = (await store.list()).filter((each) => each.image === image)
      if (known === undefined) await store.put({ image, imageId: null })
      return {
        fetched: (imageId) => store.put({ image, imageId }),
        async end() {
          const left = (uses.get(image) ?? 1) - 1
          if (left > 0) return void uses.set(image, left)
          uses.delete(image)
          await drop(image, patientSignal(removeMs)).catch((error) =>
            log.warn({ image, err: error }, 'an image of a private registry is left to reconciliation'),
          )
        },
      }
    },
    async sweep(signal) {
      for (const { image } of await store.list()) {
        if (uses.has(image)) continue
        try {
          await drop(image, signal)
        } catch (error) {
          // A guest of it is still there, and goes first.
          if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
        }
      }
    },
  }
}
