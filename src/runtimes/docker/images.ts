import { ServerError } from '../../domain/error.ts'
import type { Images } from '../../domain/runtime.ts'
import { instanceLabel, snapshotLabel } from './container.ts'
import { type Engine, reasonOf, statusOf, withSignal } from './engine.ts'
import { jsonLines } from './json-lines.ts'

/** The engine's images. */
export function createImages(engine: Engine, instanceId: string): Images {
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
    list: (signal) =>
      engine.call(signal, async (docker, both) => {
        const filters = { label: [`${instanceLabel}=${instanceId}`] }
        const found = await docker.listImages(withSignal({ filters: JSON.stringify(filters) }, both))
        // What somebody has built on a snapshot inherits its labels, and has another name.
        return found.flatMap(({ Labels: labels, RepoTags: tags }) => {
          const image = labels?.[snapshotLabel]
          return image !== undefined && tags?.includes(withTag(image)) ? [image] : []
        })
      }),
    remove: (image, signal) => removeImage(engine, image, signal),
  }
}

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

/** The two parts of an image's name. Errors: `invalid_argument` where it isn't one that an image can be given. */
export function splitImage(image: string): { repo: string; tag: string } {
  const named = withTag(image)
  const colon = named.lastIndexOf(':')
  const [repo, tag] = [named.slice(0, colon), named.slice(colon + 1)]
  if (!/^[a-z0-9][a-z0-9._-]*(:\d+\/)?[a-z0-9._/-]*$/.test(repo) || !/^\w[\w.-]{0,127}$/.test(tag))
    throw invalidImageName(image)
  return { repo, tag }
}

export function invalidImageName(image: string, cause?: unknown): ServerError {
  return new ServerError('invalid_argument', `${image} is not the name of an image.`, { cause })
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
    return invalidImageName(image, error)
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
