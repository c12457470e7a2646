/** The images that a runtime starts guests from. */

/** What an image is and how it wants to be run. */
export interface ImageInfo {
  /** The same for the same image under any name, another for every other: a digest, where the runtime has one */
  id: string
  env: Record<string, string>
  /** `name`, `uid`, either with `:group`; empty: root */
  user: string
  /** Absolute; `/` where it says nothing */
  workdir: string
  labels: Record<string, string>
  /** Whether a server has made it of a guest: what it has is that team's, whoever may know its name */
  isOwn: boolean
  /** How many layers it is made of: an engine takes no more than some hundred */
  layers: number
  sizeBytes: number
  /** As Go names them: `amd64`, `arm64`; empty where it doesn't say */
  architecture: string
  /** `linux` */
  os: string
}

/** How a registry is asked. Never logged, never in an error, and with no other registry than the image's. */
export type RegistryCredentials =
  | { type: 'registry'; username: string; password: string }
  /** AWS gives a password for ECR to whoever has these */
  | { type: 'aws'; accessKeyId: string; secretAccessKey: string; region: string }
  /** The key file of a service account, as text */
  | { type: 'gcp'; serviceAccountJson: string }

/** A step of a pull, as the engine tells it. */
export interface PullProgress {
  /** Of which layer, by the first digits of its digest; absent: of all of it */
  layer?: string
  /** E.g. `Downloading`, `Pull complete` */
  status: string
  doneBytes?: number
  totalBytes?: number
}

export interface PullOptions {
  credentials?: RegistryCredentials
  /** `linux/amd64`; absent: the machine's own */
  platform?: string
  /** Called often; must not throw */
  onProgress?: (progress: PullProgress) => void
}

export interface NamedImage {
  image: string
  /** Unix milliseconds */
  createdAt: number
}

/** An image that is kept for every server with this engine, with what its maker says of it. */
export interface KeptImage extends NamedImage {
  note: string
}

/**
 * Errors of every method: those that `Runtime` names for its own. An image of this server's is one that `snapshot` or
 * `flatten` has made, whoever asked for it.
 */
export interface Images {
  /** An image that is there, by its name or by its id, or undefined. Asks no registry. Guests can be made by ids too. */
  inspect(image: string, signal: AbortSignal): Promise<ImageInfo | undefined>

  /**
   * Fetches an image from its registry, also where an older one of that name is there, and resolves with what the name means
   * now. A name without a registry is Docker Hub's, or the mirror's. Errors: `not_found` (the registry has no such image, or
   * none for the platform), `unauthenticated` (it wants credentials, or others), `forbidden` (these don't suffice, or the server
   * doesn't ask registries of private networks),
   * `resource_exhausted` (its limit, the disk), `unavailable` (it doesn't answer), `invalid_argument` (name, credentials),
   * `failed_precondition` (the server asks no registry), `unimplemented` (the runtime has none).
   */
  pull(image: string, options: PullOptions, signal: AbortSignal): Promise<ImageInfo>

  /**
   * Makes an image of this server's that has the files and the configuration of another and as few layers as the engine can
   * do with. On failure there is no such image. Errors: `not_found` (image), `conflict` (target), `resource_exhausted` (disk).
   */
  flatten(image: string, target: string, signal: AbortSignal): Promise<void>

  /**
   * Makes an image that has what another has, and a note, and is nobody's: it outlives the other and this server, and every
   * server with this engine finds it by `kept`. On failure there is no such image. Errors: `not_found` (image), `conflict`
   * (target).
   */
  keep(image: string, target: string, note: string, signal: AbortSignal): Promise<void>

  /** The images that other servers have made with the same engine, by the ids of those servers; whether these live isn't known. */
  others(signal: AbortSignal): Promise<Map<string, string[]>>

  /** What any server has kept, newest first. */
  kept(signal: AbortSignal): Promise<KeptImage[]>

  /** The images that are called `<repository>:<anything>`, whoever made them, newest first. */
  named(repository: string, signal: AbortSignal): Promise<NamedImage[]>

  /** The names of this server's images, for reconciliation. Those that are kept aren't among them. */
  list(signal: AbortSignal): Promise<string[]>

  /** Idempotent. Errors: `conflict` while guests are made of it. */
  remove(image: string, signal: AbortSignal): Promise<void>
}
