import { ServerError } from '../../domain/error.ts'
import type { Images } from '../../domain/runtime.ts'
import { type Engine, reasonOf, statusOf } from './engine.ts'
import { jsonLines } from './json-lines.ts'

/** The engine's images. */
export function createImages(engine: Engine): Images {
  const inspect = (image: string, signal: AbortSignal) =>
    engine.call(signal, async (docker, both) => {
      try {
        return await docker.getImage(image).inspect({ abortSignal: both })
      } catch (error) {
        if (statusOf(error) === 404) return undefined
        throw error
      }
    })

  return {
    has: async (image, signal) => (await inspect(image, signal)) !== undefined,
    async size(image, signal) {
      const found = await inspect(image, signal)
      if (found === undefined) throw imageNotFound(image)
      return found.Size
    },
    pull: (image, signal) =>
      engine.call(signal, async (docker, both) => {
        try {
          const progress = await docker.pull(withTag(image), { abortSignal: both })
          // A pull that fails half-way says so in its progress.
          for await (const line of jsonLines(progress)) {
            const { error } = line as { error?: unknown }
            if (typeof error === 'string') throw new Error(error)
            engine.health.heard()
          }
        } catch (error) {
          if (both.aborted) throw error
          throw pullError(image, error)
        }
      }),
    list: async () => [],
    remove: (image, signal) =>
      engine.call(signal, async (docker, both) => {
        try {
          await docker.getImage(image).remove({ abortSignal: both })
        } catch (error) {
          if (statusOf(error) === 404) return
          if (statusOf(error) !== 409) throw error
          throw new ServerError('conflict', `The image ${image} is in use.`, { cause: error })
        }
      }),
  }
}

export function imageNotFound(image: string, cause?: unknown): ServerError {
  return new ServerError('not_found', `The server has no image ${image}.`, { cause })
}

/** Without a tag the engine would pull every tag there is. */
function withTag(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1)
  return name.includes(':') || name.includes('@') ? image : `${image}:latest`
}

function pullError(image: string, error: unknown): ServerError {
  const reason = reasonOf(error)
  if (statusOf(error) === 400 || /invalid reference format/i.test(reason)) {
    return new ServerError('invalid_argument', `${image} is not the name of an image.`, { cause: error })
  }
  if (statusOf(error) === 404 || /not found|manifest unknown|does not exist|access.* denied/i.test(reason)) {
    return new ServerError(
      'not_found',
      `The registry has no image ${image}, or does not show it to this server.`,
      {
        cause: error,
      },
    )
  }
  return new ServerError(
    'unavailable',
    `The image ${image} could not be pulled: its registry does not answer.`,
    {
      cause: error,
    },
  )
}
