import { setTimeout as delay } from 'node:timers/promises'
import type Docker from 'dockerode'
import { ServerError } from '../../domain/error.ts'
import type { ImageInfo, Images } from '../../domain/images.ts'
import { imageNotFound, invalidImageName, splitImage, withTag } from '../../images/names.ts'
import type { RegistryChoice } from '../../images/registry-choice.ts'
import { abortable } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import { createSemaphore } from '../../lib/semaphore.ts'
import { instanceLabel, snapshotLabel } from './container.ts'
import { type Engine, statusOf, withSignal } from './engine.ts'
import { flattenImage, removeReaders } from './flatten-image.ts'
import { keepImage, listKept } from './keep-image.ts'
import type { DockerParts } from './parts.ts'
import { pullImage } from './pull-image.ts'
import { removeImage } from './remove-image.ts'

/** Pulls at once: each takes all of the network and the disk that it gets */
const pullsMax = 4
/** Images that are flattened at once */
const copiesMax = 1
/** Longest time for undoing a failed copy, in milliseconds, and how long a caller waits for that */
const undoMs = 60_000
const undoWaitMs = 5_000

type Parts = Pick<DockerParts, 'engine' | 'engineHost' | 'instanceId' | 'hostBinary' | 'log'>

/** The engine's images. */
export function createImages(parts: Parts, registries: RegistryChoice): Images {
  const { engine, instanceId } = parts
  const pulls = createSemaphore(pullsMax)
  const copies = createSemaphore(copiesMax)
  /** Whether what an earlier server left has been removed */
  let isSwept = false

  return {
    inspect: (image, signal) => inspectImage(engine, image, signal),

    async pull(image, options, signal) {
      const release = await pulls.acquire(signal)
      try {
        const there = await pullImage(engine, registries, image, options, signal)
        const found = await inspectImage(engine, there, signal)
        if (found === undefined) throw imageNotFound(image)
        return found
      } finally {
        release()
      }
    },

    async flatten(image, target, signal) {
      await checkCopy(engine, image, target, signal)
      const release = await copies.acquire(signal)
      // Not ended by the caller's signal: the engine goes on with what it has begun.
      const copied = flattenImage(parts, image, target).finally(release)
      try {
        await abortable(copied, signal)
      } catch (error) {
        const undone = copied
          .catch(() => {})
          .then(() => removeImage(engine, target, patientSignal(undoMs)))
          .catch((remainder) => parts.log.warn({ err: remainder }, 'a failed copy is not undone yet'))
        await Promise.race([undone, delay(undoWaitMs, undefined, { ref: false })])
        throw error
      }
    },

    async keep(image, target, note, signal) {
      await checkCopy(engine, image, target, signal)
      const release = await copies.acquire(signal)
      await keepImage(parts, image, target, note, signal).finally(release)
    },

    kept: (signal) => listKept(engine, signal),

    async named(repository, signal) {
      const found = await engine.call(signal, (docker, both) =>
        docker.listImages(withSignal({ filters: JSON.stringify({ reference: [`${repository}:*`] }) }, both)),
      )
      return found
        .flatMap(({ RepoTags: tags, Created: seconds }) =>
          (tags ?? [])
            .filter((tag) => tag.startsWith(`${repository}:`))
            .map((image) => ({ image, createdAt: seconds * 1000 })),
        )
        .sort((one, other) => other.createdAt - one.createdAt)
    },

    async list(signal) {
      if (!isSwept) {
        const release = await copies.acquire(signal)
        await removeReaders(parts, signal).finally(release)
        isSwept = true
      }
      return (await listMade(engine, `${instanceLabel}=${instanceId}`, signal)).map(({ image }) => image)
    },

    async others(signal) {
      const servers = new Map<string, string[]>()
      for (const { image, server } of await listMade(engine, instanceLabel, signal)) {
        if (server !== '' && server !== instanceId)
          servers.set(server, [...(servers.get(server) ?? []), image])
      }
      return servers
    },

    remove: (image, signal) => removeImage(engine, image, signal),
  }
}

/** What servers have made, of those with a label. Errors as `Engine.call`. */
function listMade(
  engine: Engine,
  label: string,
  signal: AbortSignal,
): Promise<{ image: string; server: string }[]> {
  return engine.call(signal, async (docker, both) => {
    const filters = JSON.stringify({ label: [label] })
    const found = await docker.listImages(withSignal({ filters }, both))
    // What somebody has built on one of ours inherits its labels, and has another name.
    return found.flatMap(({ Labels: labels, RepoTags: tags }) => {
      const image = labels?.[snapshotLabel]
      const isThere = image !== undefined && tags?.includes(withTag(image))
      return isThere ? [{ image, server: labels?.[instanceLabel] ?? '' }] : []
    })
  })
}

/** Errors: `not_found` (image), `conflict` (target), `invalid_argument`. */
async function checkCopy(engine: Engine, image: string, target: string, signal: AbortSignal): Promise<void> {
  splitImage(target)
  if ((await inspectImage(engine, image, signal)) === undefined) throw imageNotFound(image)
  if ((await inspectImage(engine, target, signal)) === undefined) return
  throw new ServerError('conflict', `There is an image ${target} already.`)
}

/** An image that is there, or undefined. Errors as `Engine.call`; `invalid_argument` for what is no name. */
export function inspectImage(
  engine: Engine,
  image: string,
  signal: AbortSignal,
): Promise<ImageInfo | undefined> {
  return engine.call(signal, async (docker, both) => {
    try {
      return toInfo(await docker.getImage(image).inspect({ abortSignal: both }))
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw statusOf(error) === 400 ? invalidImageName(image, error) : error
    }
  })
}

function toInfo({ Id, Config, RootFS, Size, Architecture, Os }: Docker.ImageInspectInfo): ImageInfo {
  const pairs = (Config.Env ?? []).map((pair) => {
    const equals = pair.indexOf('=')
    return equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
  })
  return {
    id: Id,
    env: Object.fromEntries(pairs),
    user: Config.User ?? '',
    workdir: Config.WorkingDir || '/',
    labels: Config.Labels ?? {},
    isOwn: Boolean(Config.Labels?.[instanceLabel]),
    layers: RootFS?.Layers?.length ?? 0,
    sizeBytes: Size,
    architecture: Architecture ?? '',
    os: Os ?? '',
  }
}
