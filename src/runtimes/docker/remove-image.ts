import { ServerError } from '../../domain/error.ts'
import { type Engine, statusOf } from './engine.ts'

/**
 * Removes an image's name, and the image once no other is built on it: the engine then removes it with the last of
 * those. Idempotent. Errors: `conflict` while a container, also a stopped one, is made of it.
 */
export function removeImage(engine: Engine, image: string, signal: AbortSignal): Promise<void> {
  return engine.call(signal, async (docker, both) => {
    try {
      await docker.getImage(image).remove({ abortSignal: both })
    } catch (error) {
      if (statusOf(error) === 404) return
      if (statusOf(error) !== 409) throw error
      throw new ServerError('conflict', `The image ${image} is in use.`, { cause: error })
    }
  })
}
