import { dockerHub, mirrored, registryOf, withTag } from './names.ts'

/** What an image's name asks which registry for. */
export interface Reference {
  /** As people know it, `host[:port]` */
  registry: string
  /** Where it answers, `host[:port]` */
  host: string
  /** The repository's path there */
  path: string
  /** A tag or a digest */
  version: string
  /** Whether it is the operator's mirror */
  isMirror: boolean
}

/** `mirror`: what is asked in Docker Hub's place. The name is one that `checkImageName` takes. */
export function referenceOf(image: string, mirror: string | undefined): Reference {
  const named = withTag(image)
  const isMirror = mirror !== undefined && registryOf(named) === dockerHub
  const hub = mirrored(named, dockerHub)
  const whole = isMirror ? mirrored(named, mirror) : registryOf(named) === dockerHub ? hub : named
  const slash = whole.indexOf('/')
  const [registry, rest] = [whole.slice(0, slash), whole.slice(slash + 1)]
  const [tagged = '', digest] = rest.split('@')
  const colon = tagged.lastIndexOf(':')
  return {
    registry,
    host: registry === dockerHub ? 'registry-1.docker.io' : registry,
    path: colon === -1 ? tagged : tagged.slice(0, colon),
    version: digest ?? tagged.slice(colon + 1),
    isMirror,
  }
}
