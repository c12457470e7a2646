/**
 * Archives as `docker save` makes them, by engines old and new: `manifest.json` names the configuration and the layers, which
 * come in any order and by names that say nothing of what they are.
 */
import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import { createGunzip } from 'node:zlib'
import { z } from 'zod'
import { ServerError } from '../domain/error.ts'
import type { LayerHost } from '../domain/layers.ts'
import { type ImageConfig, packedWithZstd, parseOciConfig } from './image-record.ts'
import { spoolFile, type Upload } from './spool.ts'
import { tarEntries } from './tar-entries.ts'

const entriesMax = 10_000
/** Longest manifest and configuration, in bytes */
const textMaxBytes = 4 << 20
const layersMax = 500
/** Most that all files of an archive may have together, in bytes */
const archiveMaxBytes = 128 * 2 ** 30

export interface ArchiveImage {
  config: ImageConfig
  /** Lowest first */
  layers: Upload[]
}

export interface ArchiveReader {
  host: Pick<LayerHost, 'uploadPath'>
  /** A name for an upload, which is the caller's to remove */
  newUpload: () => string
  signal: AbortSignal
}

const manifestSchema = z
  .array(z.object({ Config: z.string(), Layers: z.array(z.string()).min(1).max(layersMax) }))
  .min(1)

/** Errors: `invalid_argument` (archive), `failed_precondition` (zstd), `resource_exhausted` (disk, size), those of the source. */
export async function readArchive(
  archive: AsyncIterable<Buffer>,
  reader: ArchiveReader,
): Promise<ArchiveImage> {
  const files = new Map<string, Upload>()
  const links = new Map<string, string>()
  let [entries, bytes] = [0, 0]
  for await (const { name, kind, target, size, body } of tarEntries(archive)) {
    if (++entries > entriesMax) throw refused('It has too many files.')
    bytes += size
    if (bytes > archiveMaxBytes)
      throw new ServerError('resource_exhausted', 'The image is larger than the server takes.')
    if (kind === 'link') links.set(name, posix.join(posix.dirname(name), target))
    if (kind === 'file') files.set(posix.normalize(name), await spool(reader, body))
  }
  const need = (name: string) => {
    const found = files.get(posix.normalize(links.get(name) ?? name))
    if (found === undefined) throw refused(`It names ${name.slice(0, 200)}, which it doesn't have.`)
    return found
  }
  const manifestText = await textOf(reader, need('manifest.json'))
  const [image] = parsed(() => manifestSchema.parse(JSON.parse(manifestText)))
  const configText = await textOf(reader, need(image!.Config))
  const { config, layers: hashes } = parsed(() => parseOciConfig(configText))
  if (hashes.length !== image!.Layers.length) throw refused('Its configuration is of other layers.')
  const layers: Upload[] = []
  for (const [index, name] of image!.Layers.entries()) {
    const layer = await unzipped(reader, need(name))
    if (layer.sha256 !== hashes[index])
      throw refused('A layer of it is not the one that its configuration names.')
    layers.push(layer)
  }
  return { config, layers }
}

function spool({ host, newUpload, signal }: ArchiveReader, source: AsyncIterable<Buffer>): Promise<Upload> {
  return spoolFile(host, newUpload(), source, signal)
}

async function textOf({ host }: ArchiveReader, { upload, sizeBytes }: Upload): Promise<string> {
  if (sizeBytes > textMaxBytes) throw refused('What describes it is too long.')
  return readFile(host.uploadPath(upload), 'utf8')
}

/** Engines that keep layers as registries have them give them away like that. */
async function unzipped(reader: ArchiveReader, packed: Upload): Promise<Upload> {
  const path = reader.host.uploadPath(packed.upload)
  const file = await open(path, 'r')
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0).finally(() => file.close())
  if (buffer.readUInt32LE() === zstdMagic) throw packedWithZstd('The image')
  if (buffer.readUInt16BE() !== gzipMagic) return packed
  const [source, gunzip] = [createReadStream(path), createGunzip()]
  source.on('error', (error) => gunzip.destroy(error))
  try {
    return await spool(reader, source.pipe(gunzip))
  } finally {
    source.destroy()
  }
}
const gzipMagic = 0x1f8b
const zstdMagic = 0xfd2fb528

function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw refused('What describes it makes no sense.', error)
  }
}

function refused(reason: string, cause?: unknown): ServerError {
  return new ServerError('invalid_argument', `This is no archive of an image. ${reason}`, { cause })
}
