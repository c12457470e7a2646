/** Names of images: `[registry/]path[:tag][@digest]`. */
import { ServerError } from '../domain/error.ts'

/** The registry of names that have none */
export const dockerHub = 'docker.io'
const nameMaxLength = 512

/** The two parts of an image's name. Errors: `invalid_argument` where it isn't one that an image can be given. */
export function splitImage(image: string): { repo: string; tag: string } {
  const named = withTag(image)
  const colon = named.lastIndexOf(':')
  const [repo, tag] = [named.slice(0, colon), named.slice(colon + 1)]
  if (!/^[a-z0-9][a-z0-9._-]*(:\d+\/)?[a-z0-9._/-]*$/.test(repo) || !/^\w[\w.-]{0,127}$/.test(tag))
    throw invalidImageName(image)
  return { repo, tag }
}

/** Without a tag the engine would pull every tag there is. */
export function withTag(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1)
  return name.includes(':') || name.includes('@') ? image : `${image}:latest`
}

/** The registry that a name is of, as host and port. */
export function registryOf(image: string): string {
  const slash = image.indexOf('/')
  const first = slash === -1 ? '' : image.slice(0, slash)
  const isHost = /[.:]/.test(first) || first === 'localhost'
  return isHost && first !== 'index.docker.io' ? first : dockerHub
}

/** Where a mirror has what a name of Docker Hub's means. `mirror`: `host[:port][/prefix]`. */
export function mirrored(image: string, mirror: string): string {
  const path = image.replace(/^(index\.)?docker\.io\//, '')
  return `${mirror}/${path.includes('/') ? path : `library/${path}`}`
}

/** Errors: `invalid_argument`, for a name that can't be asked for. */
export function checkImageName(image: string): void {
  if (!isImageName(image)) throw invalidImageName(image)
}

/** Whether it is one that could be asked for. */
export function isImageName(image: string): boolean {
  return image.length <= nameMaxLength && /^[\w.:@/-]+$/.test(image) && /^[a-zA-Z0-9]/.test(image)
}

export function invalidImageName(image: string, cause?: unknown): ServerError {
  return new ServerError(
    'invalid_argument',
    `${image.slice(0, nameMaxLength)} is not the name of an image.`,
    {
      cause,
    },
  )
}

export function imageNotFound(image: string, cause?: unknown): ServerError {
  return new ServerError('not_found', `The server has no image ${image}.`, { cause })
}
