/** What the image of a build's first line is: one that is here already, or what its registry has. */
import { ServerError } from '../domain/error.ts'
import type { ImageInfo, RegistryCredentials } from '../domain/images.ts'
import type { BuildContext } from './build-context.ts'

/** As images name the machines they are for. */
const architectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

/**
 * An image that the runtime has is taken as it is, if it is one for everybody; with credentials the registry is asked in any case, as they are what shows
 * that this team may have it. Errors: those of `Images.pull`; `failed_precondition` (of another machine).
 */
export async function resolveImage(
  { parts, privateImages, atEnd, log, signal }: BuildContext,
  { image, credentials }: { image: string; credentials: RegistryCredentials | null },
): Promise<ImageInfo> {
  const { images } = parts.runtime
  const found = await images.inspect(image, signal)
  const isForAll = found !== undefined && isNamed(image, found) && !(await privateImages.has(image, found.id))
  if (isForAll && credentials === null) return checked(image, found)
  log.write(`[base] Pulling ${image}`)
  // One that everybody finds here stays.
  const use = credentials === null || isForAll ? undefined : await privateImages.use(image)
  if (use !== undefined) atEnd(use.end)
  const pulled = await images.pull(
    image,
    {
      ...(credentials !== null && { credentials }),
      onProgress({ layer, status }) {
        if (layer !== undefined && status === 'Pull complete')
          log.write(`[base] Pulled layer ${layer}`, 'debug')
      },
    },
    signal,
  )
  await use?.fetched(pulled.id)
  return checked(image, pulled)
}

/** Whether it is here by a name, and one that is anybody's to say: ids lead to images of other teams, by a few digits. */
function isNamed(image: string, { id, isOwn }: ImageInfo): boolean {
  const digits = /^(?:sha256:)?([0-9a-f]+)$/.exec(image)?.[1]
  return !isOwn && (digits === undefined || !id.replace(/^sha256:/, '').startsWith(digits))
}

/** Errors: `failed_precondition`. */
function checked(image: string, info: ImageInfo): ImageInfo {
  const machine = architectures[process.arch]
  const isFit = (has: string, needs: string | undefined) => has === '' || needs === undefined || has === needs
  if (isFit(info.os, 'linux') && isFit(info.architecture, machine)) return info
  throw new ServerError(
    'failed_precondition',
    `The image ${image} is for ${info.os}/${info.architecture}, and this server's machine is linux/${machine}.`,
  )
}
