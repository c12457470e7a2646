/** Files that the helper is to read: written where it looks for them, and hashed on the way. */
import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { ServerError } from '../domain/error.ts'
import type { LayerHost } from '../domain/layers.ts'

/** Most that one layer's tar may have, in bytes */
const layerMaxBytes = 64 * 2 ** 30

export interface Upload {
  upload: string
  /** Of its content, lower-case hex */
  sha256: string
  sizeBytes: number
}

/** Writes a new upload; on failure there is none. Errors: those of `source`; `resource_exhausted` (too long, disk). */
export async function spoolFile(
  host: Pick<LayerHost, 'uploadPath'>,
  upload: string,
  source: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<Upload> {
  const path = host.uploadPath(upload)
  const hash = createHash('sha256')
  let sizeBytes = 0
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of source) {
      signal.throwIfAborted()
      sizeBytes += chunk.length
      if (sizeBytes > layerMaxBytes)
        throw new ServerError('resource_exhausted', 'A layer of the image is larger than the server takes.')
      hash.update(chunk)
      await writeAll(file, chunk)
    }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
  return { upload, sha256: hash.digest('hex'), sizeBytes }
}

async function writeAll(file: Awaited<ReturnType<typeof open>>, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten
}
