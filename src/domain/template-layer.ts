/** The cache of builds: what steps left behind, and the files that they copy. Times are Unix milliseconds. */
import type { SandboxDefaults } from './template-build.ts'

/** The image that a chain of steps ends in, for builds to come that begin alike. */
export interface Layer {
  /** Lower-case hex of SHA-256 over the runtime, the base and every step up to this one */
  key: string
  /** Whose it is: no other team uses it */
  teamId: string
  image: string
  runtime: string
  /** What later steps go on with; `startCmd` and `readyCmd` are null */
  defaults: SandboxDefaults
  /** The image that its own is built on, which takes its disk until that is gone too; null: nothing is known of one */
  parent: string | null
  /** What it adds to the image that it was made on, in bytes */
  sizeBytes: number
  createdAt: number
  lastUsedAt: number
}

export interface LayerStore {
  find(teamId: string, key: string): Promise<Layer | undefined>
  /** Creates or replaces by team and key. */
  put(layer: Layer): Promise<void>
  /** Errors: none; an unknown layer is passed over. */
  touch(teamId: string, key: string, at: number): Promise<void>
  /** Least recently used first. */
  list(filter: { teamId?: string; image?: string; limit?: number }): Promise<Layer[]>
  /** Idempotent. */
  remove(teamId: string, key: string): Promise<void>
}

/** An uploaded archive of what a COPY step copies; its bytes are a file below the state directory. */
export interface TemplateFile {
  teamId: string
  /** 64 lower-case hex digits that the client chose; opaque */
  hash: string
  sizeBytes: number
  createdAt: number
  lastUsedAt: number
}

export interface TemplateFileStore {
  find(teamId: string, hash: string): Promise<TemplateFile | undefined>
  /** Creates or replaces by team and hash. */
  put(file: TemplateFile): Promise<void>
  touch(teamId: string, hash: string, at: number): Promise<void>
  /** Least recently used first. */
  list(filter: { teamId?: string; limit?: number }): Promise<TemplateFile[]>
  /** Bytes of all of a team's files. */
  usage(teamId: string): Promise<number>
  /** Idempotent. */
  remove(teamId: string, hash: string): Promise<void>
}

/** An image that was fetched with credentials and is not for others. */
export interface PrivateImage {
  /** The name it was asked for by */
  image: string
  /** As `ImageInfo.id`; null: it is being fetched, or was when the server ended */
  imageId: string | null
}

export interface PrivateImageStore {
  /** Creates or replaces by name. */
  put(image: PrivateImage): Promise<void>
  list(): Promise<PrivateImage[]>
  /** Idempotent. */
  remove(image: string): Promise<void>
}
