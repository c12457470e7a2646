import type { BuildOrder } from './build-order.ts'
import type { NewLifecycleEvent } from './lifecycle-event.ts'
import type { LogLevel } from './sandbox-log.ts'
import type { Template } from './template.ts'

/**
 * - `waiting`: made, its files may come, nothing runs
 * - `building`: runs. A crash leaves it so, and the next start of the server ends it as `error` (a snapshot: removes it)
 * - `ready`, `error`: over
 */
export type BuildStatus = 'waiting' | 'building' | 'ready' | 'error'

/** What sandboxes of a build have that a create request doesn't say. */
export interface SandboxDefaults {
  /** Environment of every process, below the `envVars` of a create */
  env: Record<string, string>
  /** Of commands and files that name none; null: the server's own default */
  user: string | null
  /** Of commands that name none; null: the user's home */
  workdir: string | null
  /** Runs from the sandbox's boot on; null: nothing does */
  startCmd: string | null
  /** The sandbox takes traffic once it exits with 0; null: at once */
  readyCmd: string | null
}

export const noDefaults: SandboxDefaults = {
  env: {},
  user: null,
  workdir: null,
  startCmd: null,
  readyCmd: null,
}

/** The note of an image that is kept, for whoever finds it without the build that made it. `madeOf`: the image it was made of */
export function writeNote(defaults: SandboxDefaults, madeOf: string): string {
  return JSON.stringify({ ...defaults, madeOf })
}

/** The image that a kept one was made of, whether it is still there or not; undefined where its note doesn't say. */
export function readMadeOf(note: string): string | undefined {
  const madeOf: unknown = readJson(note)?.madeOf
  return typeof madeOf === 'string' ? madeOf : undefined
}

/** The defaults of a note; undefined for any other text. */
export function readDefaults(text: string): SandboxDefaults | undefined {
  const read: Partial<SandboxDefaults> | null = readJson(text)
  if (typeof read?.env !== 'object' || read.env === null) return undefined
  const { env, user = null, workdir = null, startCmd = null, readyCmd = null } = read
  const isText = (value: unknown) => value === null || typeof value === 'string'
  const isWhole = Object.values(env).every((value) => typeof value === 'string')
  if (!isWhole || ![user, workdir, startCmd, readyCmd].every(isText)) return undefined
  return { env, user, workdir, startCmd, readyCmd }
}

function readJson(text: string) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** One state of a template's files, and how sandboxes of it are to be. Times are Unix milliseconds. */
export interface TemplateBuild {
  /** A UUID */
  id: string
  templateId: string
  /** The template's */
  teamId: string | null
  status: BuildStatus
  /** Null until it is ready; a snapshot's is named before it is made, so that a crash leaves nothing unknown */
  image: string | null
  runtime: string
  cpuCount: number
  memoryMb: number
  diskMb: number
  defaults: SandboxDefaults
  /** Of a snapshot: whose copy it is. Null: it was built */
  origin: { sandboxId: string; templateId: string } | null
  /** Why it is in `error`. `step`: `base`, `finalize`, or a step's number from 1 on (e2b-wire 4.1) */
  reason: { message: string; step: string | null } | null
  createdAt: number
  startedAt: number | null
  finishedAt: number | null
}

/** What was asked for when a build was made, and counts once it is started. */
export interface BuildPlan {
  /** What it is to be known by once it is ready */
  tags: string[]
  /** In MiB; null: whatever there is */
  minFreeDiskMb: number | null
  /** What it is made of, where that was said with it, as the first generation does; absent: its start says so */
  order?: BuildOrder
}

/** What lists say of a template's builds. */
export interface LatestBuilds {
  buildCount: number
  newest: TemplateBuild
  /** The newest that is ready */
  current: TemplateBuild | undefined
}

export interface BuildFilter {
  templateId?: string
  teamId?: string
  statuses?: readonly BuildStatus[]
  /** Whether it is a snapshot of a sandbox */
  isSnapshot?: boolean
  kind?: Template['kind']
  image?: string
  /** Continue behind this one, newest first */
  after?: { createdAt: number; id: string }
  limit?: number
}

export interface SnapshotFilter {
  teamId: string
  /** Those whose copy they are */
  sandboxId?: string
  /** Of this template alone */
  templateId?: string
  tag?: string
  /** Continue behind this one, newest first */
  after?: { createdAt: number; id: string }
  limit?: number
}

/** A snapshot as it is listed: once for each template, under the newest of its tags that the filter leaves. */
export interface TaggedSnapshot {
  template: Template
  build: TemplateBuild
  tag: string
}

export interface BuildStore {
  /**
   * With `template`: together with the template it is the first build of. Errors: `conflict` (an id, or a name that is
   * taken meanwhile), `not_found` (template).
   */
  create(build: TemplateBuild, options?: { template?: Template; plan?: BuildPlan }): Promise<void>
  find(id: string): Promise<TemplateBuild | undefined>
  /** Of a build that was made with one. */
  plan(id: string): Promise<BuildPlan | undefined>
  /** By template; one without builds isn't there. */
  latest(templateIds: readonly string[]): Promise<Map<string, LatestBuilds>>
  /** Newest first. */
  list(filter: BuildFilter): Promise<TemplateBuild[]>
  count(filter: Pick<BuildFilter, 'templateId' | 'teamId' | 'statuses'>): Promise<number>
  /** Errors: `not_found`, `conflict` when it isn't in the status `from`. */
  update(
    id: string,
    update: Partial<
      Pick<TemplateBuild, 'status' | 'image' | 'diskMb' | 'defaults' | 'reason' | 'startedAt' | 'finishedAt'>
    >,
    from: BuildStatus,
  ): Promise<void>
  /**
   * From `building` to `ready`, its tags going over to it and its template being touched, together with the event of a
   * snapshot. Errors: `not_found`, `conflict` (it isn't `building`).
   */
  complete(
    id: string,
    outcome: Pick<TemplateBuild, 'image' | 'diskMb' | 'defaults'> & { at: number; tags: readonly string[] },
    event?: NewLifecycleEvent,
  ): Promise<void>
  /** Ready snapshots that have a tag, of templates that are no forks, newest first by their builds. */
  snapshots(filter: SnapshotFilter): Promise<TaggedSnapshot[]>
  /** With its log and tags; a snapshot's or fork's template goes with its last build. Idempotent. */
  remove(id: string): Promise<void>
}

export interface BuildLogEntry {
  /** Counts up from 0 within a build */
  index: number
  /** Unix milliseconds */
  at: number
  level: LogLevel
  message: string
  /** As in `TemplateBuild.reason` */
  step: string | null
}

export interface BuildLogFilter {
  buildId: string
  /** Entries of this level and above */
  minLevel?: LogLevel
  /** Passes over so many of those that the rest of the filter leaves */
  offset?: number
  /** Entries at or after (`asc`), or at or before (`desc`), this time */
  cursor?: number
  order?: 'asc' | 'desc'
  limit: number
}

export interface BuildLogStore {
  /** Appends in the given order; entries past `maxEntries` of a build are dropped. Unknown builds are passed over. */
  append(buildId: string, entries: readonly Omit<BuildLogEntry, 'index'>[]): Promise<void>
  list(filter: BuildLogFilter): Promise<BuildLogEntry[]>
}
