/**
 * Images without an engine: a record of each in a folder of the server's, layers with the helper. What is kept for all servers
 * of a machine has a record in a folder that they share, and layers that their helpers do (`share`); a server takes such an image
 * over when it first needs it, so that nothing which others do to theirs concerns it.
 */
import { ServerError } from '../domain/error.ts'
import type { LayeredImages, LayerHost } from '../domain/layers.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { abortable } from '../lib/deadline.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { createSemaphore } from '../lib/semaphore.ts'
import { createCatalog, namesOf, recordOf } from './catalog.ts'
import { type CopyParts, flattenImage, keepImage, obtain, share } from './copies.ts'
import type { EngineImages } from './engine-images.ts'
import { type ImageConfig, type ImageRecord, toInfo } from './image-record.ts'
import { createIntake, fromArchive, fromTar } from './intake.ts'
import { createLayerKeeper } from './layer-keeper.ts'
import { checkImageName, imageNotFound, isImageName, splitImage, withTag } from './names.ts'
import { readRegistry } from './pull.ts'
import type { RegistryChoice } from './registry-choice.ts'
import { ecrEndpoint } from './registry-login.ts'
import { createSharedSweep } from './shared-sweep.ts'

/** Images that are flattened or kept at once */
const copiesMax = 1
/** Longest time for taking the image in that was provided, in milliseconds */
const provideMs = 10 * 60_000
/** Longest time for asking which layers there are, in milliseconds */
const repairMs = 30_000

/** Where an image comes from: an archive as `docker save` makes it, or the tar of a root file system. */
export type ImageSource =
  | { archive: AsyncIterable<Buffer> }
  | { tar: AsyncIterable<Buffer>; config: ImageConfig }

export interface ImageStore extends LayeredImages {
  /**
   * Takes an image in by that name, also where there is one. Errors: `invalid_argument` (name, archive), `resource_exhausted`
   * (disk, size).
   */
  take(image: string, source: ImageSource, signal: AbortSignal): Promise<void>
}

export interface ImageStoreOptions {
  layers: LayerHost
  /** Where records of images are; made when the first is written */
  folder: string
  /** Where records of images are that are kept for all servers of the machine; absent: what is kept is this server's */
  shared?: string
  /** An image that is taken in, for all servers of the machine, when it is first looked for; none: it isn't there */
  provided?: { image: string; open: (signal: AbortSignal) => Promise<ImageSource | undefined> }
  /** A Docker engine that is asked before registries are, and whose images everybody may have; none: registries alone */
  engine?: EngineImages
  /** Whether records are only read: no image is made, and what a removal has left is left. Default: no */
  isReadOnly?: boolean
  /** Default: every registry of the internet, as names say */
  registries?: Partial<RegistryChoice>
  clock?: Clock
  log: Log
}

/** Touches nothing until it is used. */
export function createImageStore(options: ImageStoreOptions): ImageStore {
  const { layers: host, folder, provided, engine, clock = systemClock(), log } = options
  const registries: RegistryChoice = { offline: false, allow: [], ecrEndpoint, ...options.registries }
  const catalog = createCatalog({
    folder,
    sharedFolder: options.shared,
    isReadOnly: options.isReadOnly ?? false,
    layersThere: () => host.layers(patientSignal(repairMs)),
  })
  const keeper = createLayerKeeper(host, (name) => catalog.layerNamed(name) !== undefined, clock)
  const parts: CopyParts = { host, catalog, keeper, log }
  const copies = createSemaphore(copiesMax)
  const intake = createIntake({ host, catalog, keeper })
  const sweepShared = catalog.shared && createSharedSweep(host, catalog.shared, clock)
  let providing: Promise<void> | undefined

  const take: ImageStore['take'] = async (image, source, signal) => {
    checkImageName(image)
    await intake(
      image,
      async (coming) =>
        'archive' in source
          ? fromArchive(coming, host, source.archive, signal)
          : { layers: [await fromTar(coming, host, source.tar, signal)], config: source.config },
      signal,
    )
  }

  const provide = async (image: string) => {
    const signal = patientSignal(provideMs)
    const source = await provided?.open(signal)
    if (source === undefined) return
    await take(image, source, signal)
    // Another server may have been first, with the same.
    const record = await catalog.find(image)
    if (record !== undefined) await share(parts, record, signal)
  }
  /** The record of an image, which comes only now if it is the one that is provided. */
  const look = async (image: string, signal: AbortSignal) => {
    const found = await catalog.find(image)
    if (found !== undefined || provided === undefined || withTag(image) !== withTag(provided.image))
      return found
    providing ??= provide(image).finally(() => (providing = undefined))
    await abortable(providing, signal)
    return catalog.find(image)
  }
  /** What is here by a name that an engine may have given another meaning, or taken back, is as good as not here. */
  const isCurrent = async ({ image, isOwn, note, engineId }: ImageRecord, signal: AbortSignal) => {
    const isElsewhere = isOwn || note !== undefined || image === withTag(provided?.image ?? '')
    return isElsewhere || (await engine?.find(image, signal)) === engineId
  }
  const fromEngine = async (image: string, id: string, signal: AbortSignal) => {
    const archive = await engine?.open(id, signal)
    if (archive === undefined) throw imageNotFound(image)
    await intake(
      image,
      async (coming) => ({ ...(await fromArchive(coming, host, archive, signal)), engineId: id }),
      signal,
    ).finally(() => archive.destroy())
    log.info({ image, id }, 'an image was taken from the Docker engine')
  }
  const obtained = async (image: string, signal: AbortSignal) => {
    await look(image, signal)
    return obtain(parts, image, signal)
  }
  const copy = async (task: () => Promise<void>, signal: AbortSignal) => {
    const release = await copies.acquire(signal)
    await task().finally(release)
  }

  return {
    take,
    async inspect(image, signal) {
      const record = await look(image, signal)
      if (record === undefined) return undefined
      const isById = record.image !== withTag(image)
      return isById || (await isCurrent(record, signal)) ? toInfo(record) : undefined
    },
    layersOf: async (image, signal) => namesOf(await obtained(image, signal)),

    async add(image, { from, layers: names, sizeBytes, brief = false }) {
      splitImage(image)
      const source = await catalog.find(from)
      if (source === undefined) throw imageNotFound(from)
      await catalog.own()
      const layers = names.map((name) => catalog.layerNamed(name) ?? { name, sizeBytes })
      await catalog.create(recordOf(image, { layers, config: source.config, isOwn: true }), { brief })
    },

    async pull(image, options, signal) {
      checkImageName(image)
      // Credentials are for a registry, and an engine's images are for the engine's own machine.
      const isAnyones = options.credentials === undefined && options.platform === undefined
      const given = isAnyones ? await engine?.find(image, signal) : undefined
      if (given !== undefined) {
        await fromEngine(image, given, signal)
        return toInfo(await obtain(parts, image, signal))
      }
      if (registries.offline) {
        throw new ServerError(
          'failed_precondition',
          `The server asks no registry for ${image}, because it runs with --offline. Start it without --offline.`,
        )
      }
      await intake(
        image,
        (coming) => readRegistry({ image, intake: coming, host }, registries, options, signal),
        signal,
      )
      return toInfo(await obtain(parts, image, signal))
    },

    flatten: (image, target, signal) => copy(() => flattenImage(parts, image, target, signal), signal),
    keep: (image, target, note, signal) =>
      copy(() => keepImage(parts, { image, target, note }, signal), signal),
    // Each server's helper has its own.
    others: async () => new Map(),

    kept: async () =>
      (await catalog.all()).flatMap(({ image, note, createdAt }) =>
        note === undefined ? [] : [{ image, note, createdAt }],
      ),
    named: async (repository) =>
      (await catalog.all()).flatMap(({ image, createdAt }) =>
        image.startsWith(`${repository}:`) ? [{ image, createdAt }] : [],
      ),

    async list(signal) {
      const all = await catalog.own()
      if (await catalog.isWhole()) await keeper.sweep(signal)
      await sweepShared?.(signal)
      return [...all.values()].flatMap(({ image, isOwn }) => (isOwn ? [image] : []))
    },

    async remove(image, signal) {
      if (!isImageName(image)) return
      await catalog.remove(image, (record) => keeper.release(namesOf(record), signal))
      await catalog.shared?.remove(image)
    },

    async close() {},
  }
}
