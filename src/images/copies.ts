/** Images that are made of others. */
import type { LayerHost } from '../domain/layers.ts'
import { newId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { type Catalog, namesOf, recordOf, taken } from './catalog.ts'
import type { ImageRecord } from './image-record.ts'
import type { LayerKeeper } from './layer-keeper.ts'
import { imageNotFound, splitImage } from './names.ts'

/** Longest time for undoing what failed, in milliseconds */
const undoMs = 60_000

export interface CopyParts {
  host: LayerHost
  catalog: Catalog
  keeper: LayerKeeper
  log: Log
}

/** The record of an image whose layers are this server's, taken over if they are only shared. Errors: `not_found`. */
export async function obtain(
  { host, catalog, keeper }: CopyParts,
  image: string,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const record = await catalog.find(image)
  if (record === undefined) throw imageNotFound(image)
  if ((await catalog.own()).has(record.image)) return record
  const letGo = keeper.hold(namesOf(record))
  try {
    for (const name of namesOf(record)) await host.adopt(name, signal)
    await catalog.put(record)
  } finally {
    letGo()
  }
  return record
}

/** As `Images.flatten`. */
export async function flattenImage(
  parts: CopyParts,
  image: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const { host, catalog, keeper, log } = parts
  const source = await sourceOf(parts, image, target, signal)
  const name = newId()
  const letGo = keeper.hold([name, ...namesOf(source)])
  try {
    const { sizeBytes } = await host.flatten(namesOf(source), name, signal)
    await catalog.create(
      recordOf(target, { layers: [{ name, sizeBytes }], config: source.config, isOwn: true }),
    )
  } catch (error) {
    await host
      .removeLayer(name, patientSignal(undoMs))
      .catch((remainder) => log.warn({ err: remainder }, 'a failed copy is not undone yet'))
    throw error
  } finally {
    letGo()
  }
}

/** As `Images.keep`: the layers are those of the other. */
export async function keepImage(
  parts: CopyParts,
  { image, target, note }: { image: string; target: string; note: string },
  signal: AbortSignal,
): Promise<void> {
  const { catalog, keeper } = parts
  const source = await sourceOf(parts, image, target, signal)
  const record = { ...recordOf(target, { ...source, isOwn: false }), note }
  const letGo = keeper.hold(namesOf(source))
  try {
    if (!(await share(parts, record, signal))) throw taken(target)
    await catalog.create(record)
  } finally {
    letGo()
  }
}

/** Lets every server of the machine find it by its name; false where they find another one by it. */
export async function share(
  { host, catalog: { shared } }: CopyParts,
  record: ImageRecord,
  signal: AbortSignal,
): Promise<boolean> {
  if (shared === undefined) return true
  for (const name of namesOf(record)) await host.share(name, signal)
  return shared.create(record)
}

async function sourceOf(
  parts: CopyParts,
  image: string,
  target: string,
  signal: AbortSignal,
): Promise<ImageRecord> {
  splitImage(target)
  if ((await parts.catalog.find(target)) !== undefined) throw taken(target)
  return obtain(parts, image, signal)
}
