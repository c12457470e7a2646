/**
 * What sandboxes are made from: a template has builds, and tags name them. A snapshot of a sandbox is a build as well, of
 * the template that has its name, or of one of its own. Times are Unix milliseconds.
 */
import type { TemplateBuild } from './template-build.ts'

export interface Template {
  /** 20 of `[a-z0-9]`; a stock template's is its name */
  id: string
  /** Null: the server's own, visible to every team under its bare names */
  teamId: string | null
  /** Lower-case names, without namespace and tag; unique among a team's templates */
  aliases: string[]
  /** Whether other teams may start sandboxes of it, by its id or its name in the namespace of its team */
  isPublic: boolean
  /**
   * `template`: made by builds, in the lists of templates. `snapshot`: made by snapshots. `fork`: belongs to forks that
   * are being made, known to nobody, and removed when none of them is left
   */
  kind: 'template' | 'snapshot' | 'fork'
  createdAt: number
  /** Of the newest change: a build, a tag, its visibility */
  updatedAt: number
  /** Of the newest sandbox that was made of it */
  lastSpawnedAt: number | null
  /** Sandboxes that were ever made of it */
  spawnCount: number
}

export interface TemplateFilter {
  /** Those of this team alone; null: the server's */
  teamId?: string | null
  /** Those that this team sees under bare names: its own and the server's */
  visibleTo?: string
  kind?: Template['kind']
  /** Continue behind this one, newest first */
  after?: { createdAt: number; id: string }
  limit?: number
}

export interface TemplateStore {
  /** Errors: `conflict` when the id exists, or the team has a template of one of the names. */
  create(template: Template): Promise<void>
  /** Creates or replaces by id: for the server's own. */
  put(template: Template): Promise<void>
  find(id: string): Promise<Template | undefined>
  /** The team's (null: the server's) template of a name. */
  findByAlias(teamId: string | null, alias: string): Promise<Template | undefined>
  /**
   * What a team means by an id or a bare name: an id of what it may use, but the server's, comes first, then its own
   * name, then the server's. Never a fork's.
   */
  resolve(nameOrId: string, teamId: string): Promise<Template | undefined>
  /** Newest first. */
  list(filter: TemplateFilter): Promise<Template[]>
  count(filter: Pick<TemplateFilter, 'teamId' | 'kind'>): Promise<number>
  /** Errors: `not_found`, `conflict` when the team has another template of one of the names. */
  update(
    id: string,
    update: Partial<Pick<Template, 'aliases' | 'isPublic' | 'kind' | 'updatedAt'>>,
  ): Promise<void>
  /** With all its builds, their logs and its tags. Idempotent. */
  remove(id: string): Promise<void>
}

/** A name for a build, as in `name:tag`. */
export interface Tag {
  templateId: string
  /** See `TemplateName` */
  tag: string
  buildId: string
  /** When it was given to this build */
  createdAt: number
}

export interface TagStore {
  /** Gives all of `tags` to a build; what had them loses them. Errors: `not_found` (a build of that template). */
  assign(templateId: string, tags: readonly string[], buildId: string, at: number): Promise<void>
  find(templateId: string, tag: string): Promise<Tag | undefined>
  /** Newest first, then by name. */
  list(templateId: string): Promise<Tag[]>
  /** Idempotent. */
  remove(templateId: string, tags: readonly string[]): Promise<void>
}

/** A template with the build that is meant. */
export interface TaggedBuild {
  template: Template
  build: TemplateBuild
}
