import type { Readable } from 'node:stream'

/** Bytes of an archive on their way in. */
export interface ArchiveUpload {
  body: Readable
  /** What it is said to have, in bytes */
  sizeBytes: number
}

/** The archives of COPY steps. `store.templateFiles` says which of them there are; a file is there before its record. */
export interface TemplateArchives {
  /** Largest archive, in bytes */
  readonly maxBytes: number
  /** Whether a team has one under a hash. */
  has(teamId: string, hash: string): Promise<boolean>
  /**
   * The secret of a link for one upload under a hash; a short while later, or after a restart, it is as good as none. Errors:
   * none; a team's oldest links go when there are too many.
   */
  createLink(teamId: string, hash: string): string
  /**
   * Takes an archive in by a link, which no other upload can use from then on. Nothing is left of one that fails. Errors:
   * `forbidden` (no such link), `invalid_argument` (not as long as it was said to be), `resource_exhausted` (no more space, for
   * the team or at all; too many at a time), `deadline_exceeded`, `canceled`.
   */
  receive(link: string, upload: ArchiveUpload, signal: AbortSignal): Promise<void>
  /** Errors: `not_found`. */
  open(teamId: string, hash: string): Promise<Readable>
  /** With its record. Idempotent. */
  remove(teamId: string, hash: string): Promise<void>
}
