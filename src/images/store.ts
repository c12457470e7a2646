/**
 * Images without an engine: a record of each in a folder of the server's, layers with the helper. What is kept for all servers
 * of a machine has a record in a folder that they share, and layers that their helpers do (`share`); a server takes such an image
 * over when it first needs it, so that nothing which others do to theirs concerns it.
 */
import { rm } from 'node:fs/promises'
import { ServerError } from '../domain/error.ts'
import type { LayeredImages, LayerHost } from '../domain/layers.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { createSemaphore } from '../lib/semaphore.ts'
import { readArchive } from './docker-archive.ts'
import { type ImageConfig, type ImageRecord, type Layer, toInfo } from './image-record.ts'
import { createLayerKeeper } from './layer-keeper.ts'
import { checkImageName, imageNotFound, isImageName, splitImage, withTag } from './names.ts'
import { createRecordFiles } from './record-files.ts'
import { createSharedSweep } from './shared-sweep.ts'
import { spoolFile, type Upload } from './spool.ts'

/** Images that are flattened at once */
const copiesMax = 1
/** Images that come from archives at once */
const importsMax = 2
/** Longest time for undoing what failed, in milliseconds */
const undoMs = 60_000

export interface ImageStore extends LayeredImages {
  /**
   * An image from an archive as `docker save` makes it, by that name, also where there is one. Errors: `invalid_argument`
   * (archive), `resource_exhausted` (disk, size).
   */
  importArchive(image: string, archive: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void>
  /** An image of one layer, from the tar of a root file system. Errors: as `importArchive`. */
  importTar(
    image: string,
    source: { tar: AsyncIterable<Buffer>; config: ImageConfig },
    signal: AbortSignal,
  ): Promise<void>
}

export interface ImageStoreOptions {
  layers: LayerHost
  /** Where records of images are; made when the first is written */
  folder: string
  /** Where records of images are that are kept for all servers of the machine; absent: what is kept is this server's */
  shared?: string
  clock?: Clock
  log: Log
}

/** Touches nothing until it is used. */
export function createImageStore(options: ImageStoreOptions): ImageStore {
  const { layers: host, folder, shared: sharedFolder, clock = systemClock(), log } = options
  const files = createRecordFiles(folder)
  const shared = sharedFolder === undefined ? undefined : createRecordFiles(sharedFolder)
  const copies = createSemaphore(copiesMax)
  const imports = createSemaphore(importsMax)
  /** By name with tag: all that the folder has, as nobody else writes there */
  let records: Promise<Map<string, ImageRecord>> | undefined
  let known = new Map<string, ImageRecord>()
  /** Names of images that are being removed: their layers are needed no more on their account */
  const removing = new Set<string>()
  const layerNamed = (name: string) => {
    for (const { image, layers } of known.values()) {
      const layer = removing.has(image) ? undefined : layers.find((each) => each.name === name)
      if (layer !== undefined) return layer
    }
    return undefined
  }
  const keeper = createLayerKeeper(host, (name) => layerNamed(name) !== undefined, clock)
  const sweepShared = shared && createSharedSweep(host, shared, clock)

  const load = () => {
    records ??= files.list().then((all) => {
      known = new Map(all.map((record) => [record.image, record]))
      return known
    })
    // The next one tries again.
    records.catch(() => (records = undefined))
    return records
  }
  const find = async (image: string) =>
    (await load()).get(withTag(image)) ?? (isImageName(image) ? await shared?.read(image) : undefined)
  const need = async (image: string) => {
    const record = await find(image)
    if (record === undefined) throw imageNotFound(image)
    return record
  }
  const put = async (record: ImageRecord) => {
    await files.put(record)
    ;(await load()).set(record.image, record)
  }
  /** Errors: `conflict`. */
  const create = async (record: ImageRecord) => {
    const all = await load()
    if (all.has(record.image) || !(await files.create(record))) throw taken(record.image)
    all.set(record.image, record)
  }
  const forget = async (image: string) => {
    await files.remove(image)
    ;(await load()).delete(withTag(image))
  }
  const namesOf = ({ layers }: ImageRecord) => layers.map(({ name }) => name)

  /** The record of an image whose layers are here, taken over if they are only shared. */
  const obtain = async (image: string, signal: AbortSignal): Promise<ImageRecord> => {
    const all = await load()
    const own = all.get(withTag(image))
    if (own !== undefined) return own
    const record = await need(image)
    const letGo = keeper.hold(namesOf(record))
    try {
      for (const name of namesOf(record)) await host.adopt(name, signal)
      await put({ ...record, isOwn: false })
    } finally {
      letGo()
    }
    return record
  }

  /** All that is here or could be taken over. */
  const newestFirst = async () => {
    const all = new Map([...(await load()).values()].map((record) => [record.image, record]))
    for (const record of (await shared?.list()) ?? []) all.set(record.image, record)
    return [...all.values()].sort((one, other) => other.createdAt - one.createdAt)
  }

  const checkTarget = async (target: string) => {
    splitImage(target)
    if ((await find(target)) !== undefined) throw taken(target)
  }

  const recordOf = (image: string, layers: Layer[], config: ImageConfig, isOwn: boolean): ImageRecord => ({
    version: 1,
    image: withTag(image),
    layers,
    config,
    isOwn,
    createdAt: Date.now(),
  })
  /** An upload becomes a layer by the hash of its content, if there is none. */
  const toLayer = async ({ upload, sha256, sizeBytes }: Upload, signal: AbortSignal) =>
    layerNamed(sha256) ??
    keeper.make(
      sha256,
      async () => {
        try {
          return (await host.unpack(upload, sha256, signal)).sizeBytes
        } catch (error) {
          if (error instanceof ServerError && error.code === 'conflict') return sizeBytes
          throw error
        }
      },
      signal,
    )

  /** Its place is there once the helper is. */
  const openSpool = async (signal: AbortSignal) => void (await host.layers(signal))
  const putImage = async (image: string, uploads: Upload[], config: ImageConfig, signal: AbortSignal) => {
    await load()
    const letGo = keeper.hold(uploads.map(({ sha256 }) => sha256))
    try {
      const layers: Layer[] = []
      for (const upload of uploads) layers.push(await toLayer(upload, signal))
      await put(recordOf(image, layers, config, false))
    } finally {
      letGo()
    }
  }
  const clean = async (uploads: readonly string[]) => {
    for (const upload of uploads) await rm(host.uploadPath(upload), { force: true })
  }

  return {
    async inspect(image) {
      const record = await find(image)
      return record && toInfo(record)
    },

    async layersOf(image, signal) {
      return namesOf(await obtain(image, signal))
    },

    async add(image, { from, layers, sizeBytes }) {
      splitImage(image)
      const source = await need(from)
      await load()
      await create(
        recordOf(
          image,
          layers.map((name) => layerNamed(name) ?? { name, sizeBytes }),
          source.config,
          true,
        ),
      )
    },

    async pull(image) {
      throw new ServerError('unimplemented', `The server has no registry that it could get ${image} from.`)
    },

    async flatten(image, target, signal) {
      await checkTarget(target)
      const source = await obtain(image, signal)
      const letGo = keeper.hold(namesOf(source))
      const release = await copies.acquire(signal).catch((error) => {
        letGo()
        throw error
      })
      const name = newId()
      const letGoOfIt = keeper.hold([name])
      try {
        const { sizeBytes } = await host.flatten(namesOf(source), name, signal)
        await create(recordOf(target, [{ name, sizeBytes }], source.config, true))
      } catch (error) {
        await host
          .removeLayer(name, patientSignal(undoMs))
          .catch((remainder) => log.warn({ err: remainder }, 'a failed copy is not undone yet'))
        throw error
      } finally {
        letGo()
        letGoOfIt()
        release()
      }
    },

    async keep(image, target, note, signal) {
      await checkTarget(target)
      const source = await obtain(image, signal)
      const record = { ...recordOf(target, source.layers, source.config, false), note }
      const letGo = keeper.hold(namesOf(source))
      try {
        if (shared !== undefined) {
          for (const name of namesOf(source)) await host.share(name, signal)
          if (!(await shared.create(record))) throw taken(target)
        }
        await create(record)
      } finally {
        letGo()
      }
    },

    others: async () => new Map(),

    async kept() {
      return (await newestFirst()).flatMap(({ image, note, createdAt }) =>
        note === undefined ? [] : [{ image, note, createdAt }],
      )
    },

    async named(repository) {
      return (await newestFirst()).flatMap(({ image, createdAt }) =>
        image.startsWith(`${repository}:`) ? [{ image, createdAt }] : [],
      )
    },

    async list(signal) {
      const all = await load()
      await keeper.sweep(signal)
      await sweepShared?.(signal)
      return [...all.values()].flatMap(({ image, isOwn }) => (isOwn ? [image] : []))
    },

    async remove(image, signal) {
      if (!isImageName(image)) return
      const own = (await load()).get(withTag(image))
      if (own !== undefined) {
        // Its record goes last, so that it can be removed again if this breaks off.
        removing.add(own.image)
        try {
          await keeper.release(namesOf(own), signal)
          await forget(own.image)
        } catch (error) {
          if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
          throw new ServerError('conflict', `The image ${image} is in use.`, { cause: error })
        } finally {
          removing.delete(own.image)
        }
      }
      await shared?.remove(image)
    },

    async importArchive(image, archive, signal) {
      checkImageName(image)
      const release = await imports.acquire(signal)
      const uploads: string[] = []
      try {
        await openSpool(signal)
        const read = await readArchive(archive, { host, onUpload: (upload) => uploads.push(upload), signal })
        await putImage(image, read.layers, read.config, signal)
      } finally {
        await clean(uploads)
        release()
      }
    },

    async importTar(image, { tar, config }, signal) {
      checkImageName(image)
      const release = await imports.acquire(signal)
      const upload = newId()
      try {
        await openSpool(signal)
        await putImage(image, [await spoolFile(host, upload, tar, signal)], config, signal)
      } finally {
        await clean([upload])
        release()
      }
    },

    async close() {},
  }
}

function taken(image: string): ServerError {
  return new ServerError('conflict', `There is an image ${image} already.`)
}
