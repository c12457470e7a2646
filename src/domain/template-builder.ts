import type { RegistryCredentials } from './images.ts'
import type { Backlog } from './telemetry.ts'
import type { TemplateBuild } from './template-build.ts'

/** Arguments as in E2B's build specification (e2b-wire 4.2), checked already. */
export type BuildStep = { force: boolean } & (
  | { type: 'RUN'; command: string; user: string | null }
  | {
      type: 'COPY'
      source: string
      destination: string
      user: string | null
      mode: number | null
      filesHash: string
    }
  | { type: 'ENV'; pairs: [name: string, value: string][] }
  | { type: 'WORKDIR'; path: string }
  | { type: 'USER'; name: string }
)

/** How a build is made. */
export interface BuildSpec {
  from:
    | { image: string; credentials: RegistryCredentials | null }
    /** Another template's build, ready, that the team may use */
    | { build: TemplateBuild }
  steps: BuildStep[]
  /** Uses nothing of the cache */
  force: boolean
  /** Null: what `from` has */
  startCmd: string | null
  readyCmd: string | null
  /** Disk that is to be free in each sandbox at its start, in MiB; null: whatever there is */
  minFreeDiskMb: number | null
  /** What the build is known by once it is ready */
  tags: readonly string[]
  /**
   * The name of an image that is kept for every server, with the build's `defaults` as its note; null: the build's image is
   * this server's
   */
  keepAs: string | null
}

/** What was freed. */
export interface Collected {
  builds: number
  layers: number
  files: number
  /** Of layers and files; what a build had may still be in use by layers */
  bytes: number
}

/** Makes builds. One build is one task: it ends as `ready` or `error`, and nobody waits for it. */
export interface TemplateBuilder {
  /**
   * Begins a build that is `waiting`: it is `building` when this resolves. Errors: `conflict` (it isn't `waiting`, or was
   * begun already), `resource_exhausted` (too many at a time).
   */
  start(build: TemplateBuild, spec: BuildSpec): Promise<void>
  /** Ends a build as `error` with that reason and resolves when nothing of it is left running. Idempotent. */
  cancel(buildId: string, reason: string): Promise<void>
  /** Resolves when nothing of a build is left running here. Never rejects. */
  ended(buildId: string): Promise<void>
  /** Whether a guest or image belongs to a build that is under way, so that it is nobody's orphan; or whether a build is one. */
  owns(guestOrImageOrBuild: string): boolean
  /**
   * Removes what nobody uses: builds without a tag, some time after a newer one, and the least recently used layers and
   * archives beyond the cache's quota, or beyond `quotaBytes` where that is given. It happens after builds by itself.
   * Errors: `unavailable`, `canceled`.
   */
  collectGarbage(signal: AbortSignal, options?: { quotaBytes?: number }): Promise<Collected>
  /** Removes images from private registries that a crash has left. Errors: `unavailable`, `canceled`. */
  removePrivateImages(signal: AbortSignal): Promise<void>
  /** Builds that wait for their turn, and that have it. */
  backlog(): Backlog
  /** Ends all builds. */
  close(): Promise<void>
}
