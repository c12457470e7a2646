/** The records of a server's images, and of those that the servers of the machine share. */
import { ServerError } from '../domain/error.ts'
import { createKeyedQueue } from '../lib/keyed-queue.ts'
import { type Blob, type ImageRecord, type Layer, toInfo } from './image-record.ts'
import { isImageName, withTag } from './names.ts'
import { createRecordFiles, type RecordFiles } from './record-files.ts'

export interface Catalog {
  /** This server's, by name with tag. Errors of every method: those of the disk. */
  own(): Promise<ReadonlyMap<string, ImageRecord>>
  /** This server's and what is shared, newest first. */
  all(): Promise<ImageRecord[]>
  /** This server's, else one that is shared; by its name or by its id. */
  find(image: string): Promise<ImageRecord | undefined>
  /** Creates or replaces one of this server's. */
  put(record: ImageRecord): Promise<void>
  /** `brief`: it may come onto the disk later. Errors: `conflict`. */
  create(record: ImageRecord, options?: { brief?: boolean }): Promise<void>
  /**
   * While `release` removes what belongs to it alone, there is no such image, and whoever makes one of that name waits. One that is
   * refused with `conflict` is there again; what breaks off otherwise is gone on with by the next call. Idempotent. Errors: those
   * of `release`.
   */
  remove(image: string, release: (record: ImageRecord) => Promise<void>): Promise<void>
  /** A layer as an image of this server's has it; none before the first of the other methods. */
  layerNamed(name: string): Layer | undefined
  /** That layer where one of these images has it from that very blob. */
  layerOf(name: string, blob: Blob): Layer | undefined
  /** Whether it knows of all layers that are needed: there is no record that it can't read. */
  isWhole(): Promise<boolean>
  readonly shared: RecordFiles | undefined
}

export interface CatalogOptions {
  /** Nobody else writes to it */
  folder: string
  /** Every server of the machine may write to it */
  sharedFolder: string | undefined
  /** Whether another process is the one that writes to `folder` */
  isReadOnly: boolean
  /** What the helper has: asked where a removal has broken off */
  layersThere: () => Promise<readonly string[]>
}

export function createCatalog({ folder, sharedFolder, isReadOnly, layersThere }: CatalogOptions): Catalog {
  const files = createRecordFiles(folder)
  const shared = sharedFolder === undefined ? undefined : createRecordFiles(sharedFolder)
  let known = new Map<string, ImageRecord>()
  let loading: Promise<void> | undefined
  let isKnown = false
  /** By image: what changes its record */
  const changes = createKeyedQueue()
  const ids = new WeakMap<ImageRecord, string>()

  const hasId = (record: ImageRecord, id: string) => {
    const known = ids.get(record) ?? toInfo(record).id
    ids.set(record, known)
    return known === id
  }
  const findById = async (id: string) => {
    const own = [...(await load()).values()].find((record) => hasId(record, id))
    return own ?? (await shared?.list())?.records.find((record) => hasId(record, id))
  }

  /** What a server that ended in the middle has left: of a removal that hasn't begun the image is there again. */
  const repair = async () => {
    await files.clean(Number.POSITIVE_INFINITY)
    const leaving = await files.leaving()
    if (leaving.length === 0) return
    const there = new Set(await layersThere())
    for (const { image, layers } of leaving) {
      if (layers.every(({ name }) => there.has(name))) await files.restore(image)
      else await files.remove(image)
    }
  }
  const loadAll = async () => {
    if (!isReadOnly) await repair()
    const { records, isWhole } = await files.list()
    known = new Map(records.map((record) => [record.image, record]))
    isKnown = isWhole
  }
  const load = async () => {
    loading ??= loadAll()
    try {
      await loading
    } catch (error) {
      // The next one tries again.
      loading = undefined
      throw error
    }
    return known
  }

  const findLayer = (is: (layer: Layer) => boolean) => {
    for (const { layers } of known.values()) {
      const layer = layers.find(is)
      if (layer !== undefined) return layer
    }
    return undefined
  }

  return {
    shared,
    own: load,
    async all() {
      const all = new Map(await load())
      for (const record of (await shared?.list())?.records ?? []) all.set(record.image, record)
      return [...all.values()].sort((one, other) => other.createdAt - one.createdAt)
    },
    async find(image) {
      if (/^sha256:[0-9a-f]{64}$/.test(image)) return findById(image)
      const all = await load()
      const found = all.get(withTag(image))
      if (found !== undefined || !isImageName(image)) return found
      const written = await changes.run(withTag(image), async () => {
        const read = await files.read(image)
        if (read !== undefined) all.set(read.image, read)
        return read
      })
      return written ?? shared?.read(image)
    },
    async isWhole() {
      await load()
      return isKnown
    },
    put: (record) =>
      changes.run(record.image, async () => {
        const all = await load()
        try {
          await files.put(record)
          all.set(record.image, record)
        } catch (error) {
          // The one before may still be there, and needs its layers; so does what nobody can read now.
          const left = await files.read(record.image).catch(() => all.get(record.image))
          if (left !== undefined) all.set(left.image, left)
          else all.delete(record.image)
          throw error
        }
      }),
    create: (record, options) =>
      changes.run(record.image, async () => {
        const all = await load()
        if (all.has(record.image) || !(await files.create(record, options))) throw taken(record.image)
        all.set(record.image, record)
      }),
    remove: (image, release) =>
      changes.run(withTag(image), async () => {
        const all = await load()
        const found = all.get(withTag(image)) ?? (await files.read(image))
        if (found !== undefined) await files.setAside(image)
        all.delete(withTag(image))
        const record = found ?? (await files.aside(image))
        if (record === undefined) return
        try {
          await release(record)
        } catch (error) {
          if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
          await files.restore(image)
          all.set(record.image, record)
          throw new ServerError('conflict', `The image ${image} is in use.`, { cause: error })
        }
        await files.remove(image)
      }),
    layerNamed: (name) => findLayer((layer) => layer.name === name),
    layerOf: (name, { host, digest }) =>
      findLayer(({ name: each, blob }) => each === name && blob?.host === host && blob.digest === digest),
  }
}

export function recordOf(
  image: string,
  { layers, config, isOwn, engineId }: Pick<ImageRecord, 'layers' | 'config' | 'isOwn' | 'engineId'>,
): ImageRecord {
  const origin = engineId === undefined ? {} : { engineId }
  return { version: 1, image: withTag(image), layers, config, isOwn, ...origin, createdAt: Date.now() }
}

export const namesOf = ({ layers }: Pick<ImageRecord, 'layers'>) => layers.map(({ name }) => name)

export function taken(image: string): ServerError {
  return new ServerError('conflict', `There is an image ${image} already.`)
}
