/** Layers and images that come from elsewhere, through uploads to the helper. */
import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ServerError } from '../domain/error.ts'
import type { LayerHost } from '../domain/layers.ts'
import { newId } from '../lib/ids.ts'
import { createSemaphore } from '../lib/semaphore.ts'
import { type Catalog, recordOf } from './catalog.ts'
import { readArchive } from './docker-archive.ts'
import type { Blob, ImageConfig, ImageRecord, Layer } from './image-record.ts'
import type { LayerKeeper } from './layer-keeper.ts'
import { spoolFile, type Upload } from './spool.ts'

/** Images that come at once: each takes all of the disk, and the network, that it gets */
const intakesMax = 4

/** What an image is made of while it comes. */
export interface Intake {
  /** A name for a new upload, which goes when the image is there or has failed. */
  newUpload(): string
  /** The layer of an upload that `spoolFile` has written; from here on it stays until the image is recorded. */
  layer(upload: Upload): Promise<Layer>
  /**
   * The layer whose tar has this SHA-256, if an image of this server's has it from that blob; it stays likewise. Whether who asks
   * may have that blob is the caller's to find out.
   */
  known(sha256: string, blob: Blob): Layer | undefined
}

export interface IntakeParts {
  host: LayerHost
  catalog: Catalog
  keeper: LayerKeeper
}

/** Takes images in, some at a time: `read` brings the layers, lowest first; one of that name is replaced. */
export function createIntake({ host, catalog, keeper }: IntakeParts) {
  const turns = createSemaphore(intakesMax)
  let cleaned: Promise<void> | undefined
  /** What a server that ended in the middle has left. */
  const clean = async () => {
    const spool = dirname(host.uploadPath('any'))
    for (const name of await readdir(spool)) await rm(join(spool, name), { force: true })
  }
  return async (
    image: string,
    read: (intake: Intake) => Promise<Pick<ImageRecord, 'layers' | 'config' | 'engineId'>>,
    signal: AbortSignal,
  ): Promise<void> => {
    const release = await turns.acquire(signal)
    const uploads: string[] = []
    const holds: (() => void)[] = []
    try {
      await catalog.own()
      // The place of uploads is there once the helper is.
      await host.layers(signal)
      cleaned ??= clean().catch((error) => {
        // The next one tries again.
        cleaned = undefined
        throw error
      })
      await cleaned
      const intake: Intake = {
        newUpload() {
          const upload = newId()
          uploads.push(upload)
          return upload
        },
        known(sha256, blob) {
          const layer = catalog.layerOf(sha256, blob)
          if (layer !== undefined) holds.push(keeper.hold([sha256]))
          return layer
        },
        async layer(upload) {
          holds.push(keeper.hold([upload.sha256]))
          return catalog.layerNamed(upload.sha256) ?? (await unpack(upload))
        },
      }
      const unpack = ({ upload, sha256, sizeBytes }: Upload) =>
        keeper.make(
          sha256,
          async () => {
            try {
              return (await host.unpack(upload, sha256, signal)).sizeBytes
            } catch (error) {
              // The one that is there has come from the same tar.
              if (error instanceof ServerError && error.code === 'conflict') return sizeBytes
              throw error
            }
          },
          signal,
        )
      await catalog.put(recordOf(image, { ...(await read(intake)), isOwn: false }))
    } finally {
      for (const letGo of holds) letGo()
      for (const upload of uploads) await rm(host.uploadPath(upload), { force: true })
      release()
    }
  }
}

/** An image that an archive has. Errors: those of `readArchive`. */
export async function fromArchive(
  intake: Intake,
  host: LayerHost,
  archive: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<{ layers: Layer[]; config: ImageConfig }> {
  const { layers: uploads, config } = await readArchive(archive, {
    host,
    newUpload: intake.newUpload,
    signal,
  })
  const layers: Layer[] = []
  for (const upload of uploads) layers.push(await intake.layer(upload))
  return { layers, config }
}

/** An image of one layer. Errors: those of `spoolFile`. */
export async function fromTar(
  intake: Intake,
  host: LayerHost,
  tar: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<Layer> {
  return intake.layer(await spoolFile(host, intake.newUpload(), tar, signal))
}
