import type { Images } from '../domain/images.ts'
import type { Layer, LayerStore } from '../domain/template-layer.ts'
import type { Clock } from '../lib/clock.ts'
import { createKeyedQueue } from '../lib/keyed-queue.ts'
import type { Hold } from './holds.ts'

/** Layers by what they were made from. A team's are its own. */
export interface LayerCache {
  /**
   * A layer with its image, which the build holds from then on; one whose image is gone is forgotten. Errors: those of
   * `Images.inspect`.
   */
  find(key: LayerName, hold: Hold, signal: AbortSignal): Promise<Layer | undefined>
  put(key: LayerName, layer: Pick<Layer, 'image' | 'parent' | 'defaults' | 'sizeBytes'>): Promise<void>
  /** Makes a layer while nobody else makes the same one; the signal ends the wait for that. */
  making<T>(key: LayerName, task: () => Promise<T>, signal: AbortSignal): Promise<T>
  /** Whether somebody makes that layer. */
  isBeingMade(key: LayerName): boolean
  /** Runs a task while nobody begins to use the image. */
  exclusive<T>(image: string, task: () => Promise<T>): Promise<T>
}

export type LayerName = Pick<Layer, 'teamId' | 'key'>

export interface LayerCacheParts {
  layers: LayerStore
  images: Pick<Images, 'inspect'>
  /** Name of the runtime */
  runtime: string
  clock: Clock
}

export function createLayerCache({ layers, images, runtime, clock }: LayerCacheParts): LayerCache {
  const makers = createKeyedQueue()
  const users = createKeyedQueue()
  const makerKey = ({ teamId, key }: LayerName) => `${teamId} ${key}`

  return {
    async find({ teamId, key }, hold, signal) {
      const layer = await layers.find(teamId, key)
      if (layer === undefined) return undefined
      const { image } = layer
      const isThere = await users.run(image, async () => {
        if ((await images.inspect(image, signal)) === undefined) return false
        hold.take(image)
        return true
      })
      if (isThere) await layers.touch(teamId, key, clock.now())
      else await layers.remove(teamId, key)
      return isThere ? layer : undefined
    },
    async put({ teamId, key }, layer) {
      const now = clock.now()
      await layers.put({ ...layer, teamId, key, runtime, createdAt: now, lastUsedAt: now })
    },
    making: (name, task, signal) => makers.run(makerKey(name), task, signal),
    isBeingMade: (name) => makers.waiting(makerKey(name)) > 0,
    exclusive: (image, task) => users.run(image, task),
  }
}
