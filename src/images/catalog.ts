/** The records of a server's images, and of those that the servers of the machine share. */
import { ServerError } from '../domain/error.ts'
import { type Blob, type ImageConfig, type ImageRecord, type Layer, toInfo } from './image-record.ts'
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
  /** Errors: `conflict`. */
  create(record: ImageRecord): Promise<void>
  /** Idempotent. */
  forget(image: string): Promise<void>
  /** While `task` runs, layers count as needed only where another image has them. */
  without<T>(image: string, task: () => Promise<T>): Promise<T>
  /** A layer as an image of this server's has it; none before the first of the other methods. */
  layerNamed(name: string): Layer | undefined
  /** That layer where one of these images has it from that very blob. */
  layerOf(name: string, blob: Blob): Layer | undefined
  /** Whether it knows of all layers that are needed: there is no record that it can't read. */
  isWhole(): Promise<boolean>
  readonly shared: RecordFiles | undefined
}

/** Nobody else writes to `folder`; every server of the machine may to `sharedFolder`. */
export function createCatalog(folder: string, sharedFolder: string | undefined): Catalog {
  const files = createRecordFiles(folder)
  const shared = sharedFolder === undefined ? undefined : createRecordFiles(sharedFolder)
  let known = new Map<string, ImageRecord>()
  let loading: Promise<void> | undefined
  let isKnown = false
  const hidden = new Set<string>()
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

  const load = async () => {
    loading ??= files.list().then(({ records, isWhole }) => {
      known = new Map(records.map((record) => [record.image, record]))
      isKnown = isWhole
    })
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
    for (const { image, layers } of known.values()) {
      const layer = hidden.has(image) ? undefined : layers.find(is)
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
      const written = await files.read(image)
      if (written !== undefined) all.set(written.image, written)
      return written ?? shared?.read(image)
    },
    async isWhole() {
      await load()
      return isKnown
    },
    async put(record) {
      await files.put(record)
      ;(await load()).set(record.image, record)
    },
    async create(record) {
      const all = await load()
      if (all.has(record.image) || !(await files.create(record))) throw taken(record.image)
      all.set(record.image, record)
    },
    async forget(image) {
      await files.remove(image)
      ;(await load()).delete(withTag(image))
    },
    async without(image, task) {
      hidden.add(withTag(image))
      try {
        return await task()
      } finally {
        hidden.delete(withTag(image))
      }
    },
    layerNamed: (name) => findLayer((layer) => layer.name === name),
    layerOf: (name, { host, digest }) =>
      findLayer(({ name: each, blob }) => each === name && blob?.host === host && blob.digest === digest),
  }
}

export function recordOf(
  image: string,
  { layers, config, isOwn }: { layers: Layer[]; config: ImageConfig; isOwn: boolean },
): ImageRecord {
  return { version: 1, image: withTag(image), layers, config, isOwn, createdAt: Date.now() }
}

export const namesOf = ({ layers }: Pick<ImageRecord, 'layers'>) => layers.map(({ name }) => name)

export function taken(image: string): ServerError {
  return new ServerError('conflict', `There is an image ${image} already.`)
}
