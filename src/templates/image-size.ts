import { ServerError } from '../domain/error.ts'
import type { Images } from '../domain/images.ts'

/** Size of an image that a build has, in bytes. Errors: `not_found`. */
export async function imageSize(
  images: Pick<Images, 'inspect'>,
  image: string,
  signal: AbortSignal,
): Promise<number> {
  const found = await images.inspect(image, signal)
  if (found === undefined) throw new ServerError('not_found', `The build's image ${image} is gone.`)
  return found.sizeBytes
}
