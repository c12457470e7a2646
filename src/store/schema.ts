/**
 * The tables as Kysely sees them, at the newest migration. Types are what both engines store alike: times are
 * double precision Unix milliseconds (exact for the microsecond fractions that order creations), booleans are
 * 0 and 1, and what has a shape of its own is JSON text.
 */
import type { Generated } from 'kysely'
import type { LogLevel } from '../domain/sandbox-log.ts'
import type { SandboxState } from '../domain/sandbox-state.ts'
import type { Template } from '../domain/template.ts'
import type { BuildStatus } from '../domain/template-build.ts'

export interface Tables {
  meta: MetaRow
  teams: TeamRow
  api_keys: ApiKeyRow
  templates: TemplateRow
  template_aliases: TemplateAliasRow
  sandboxes: SandboxRow
  template_builds: TemplateBuildRow
  template_build_plans: TemplateBuildPlanRow
  template_tags: TemplateTagRow
  template_build_logs: TemplateBuildLogRow
  template_layers: TemplateLayerRow
  template_files: TemplateFileRow
  private_images: PrivateImageRow
  lifecycle_events: LifecycleEventRow
  sandbox_metrics: SandboxMetricsRow
  sandbox_logs: SandboxLogRow
  webhooks: WebhookRow
  team_samples: TeamSampleRow
  node_status: NodeStatusRow
  warm_guests: WarmGuestRow
}

/** Guests that were started ahead of their sandbox. */
export interface WarmGuestRow {
  id: string
}

/** Facts about the database itself, under the keys `schema_version` and `instance_id`. */
export interface MetaRow {
  key: string
  value: string
}

export interface TeamRow {
  /** Counts up with creation: the oldest team is the lowest */
  position: Generated<number>
  id: string
  name: string
  slug: string
  created_at: number
  /** JSON of `Partial<TeamLimits>` */
  limits: string
}

export interface ApiKeyRow {
  id: string
  team_id: string
  name: string
  hash: string
  mask: string
  created_at: number
  last_used_at: number | null
}

export interface TemplateRow {
  id: string
  team_id: string | null
  is_public: number
  kind: Template['kind']
  created_at: number
  updated_at: number
  last_spawned_at: number | null
  spawn_count: number
}

export interface TemplateAliasRow {
  template_id: string
  alias: string
  /** Index in the template's list */
  position: number
}

export interface SandboxRow {
  id: string
  team_id: string
  template_id: string
  build_id: string | null
  alias: string | null
  state: SandboxState
  started_at: number
  end_at: number
  timeout_s: number
  on_timeout: 'kill' | 'pause'
  auto_pause_memory: number
  auto_resume: number
  paused_with_memory: number | null
  cpu_count: number
  memory_mb: number
  disk_mb: number
  /** JSON object of strings */
  metadata: string
  /** JSON object of strings */
  env_vars: string
  envd_access_token: string | null
  allow_internet_access: number | null
  traffic_access_token: string | null
  /** JSON of `SandboxNetwork` */
  network: string | null
  runtime: string
  image: string
  /** JSON of `GuestHandle` */
  handle: string | null
  /** JSON of `SandboxDefaults` */
  defaults: string
  end_reason: string | null
  idempotency_key: string | null
  idempotency_hash: string | null
}

export interface TemplateBuildRow {
  id: string
  template_id: string
  team_id: string | null
  status: BuildStatus
  image: string | null
  runtime: string
  cpu_count: number
  memory_mb: number
  disk_mb: number
  /** JSON of `SandboxDefaults` */
  defaults: string
  origin_sandbox_id: string | null
  origin_template_id: string | null
  /** JSON of `TemplateBuild.reason` */
  reason: string | null
  created_at: number
  started_at: number | null
  finished_at: number | null
}

export interface TemplateBuildPlanRow {
  build_id: string
  /** JSON of `BuildPlan` */
  plan: string
}

export interface TemplateTagRow {
  template_id: string
  tag: string
  build_id: string
  created_at: number
}

export interface TemplateBuildLogRow {
  build_id: string
  entry_index: number
  at: number
  level: LogLevel
  message: string
  step: string | null
}

export interface TemplateLayerRow {
  team_id: string
  key: string
  image: string
  runtime: string
  /** JSON of `SandboxDefaults` */
  defaults: string
  parent: string | null
  size_bytes: number
  created_at: number
  last_used_at: number
}

export interface TemplateFileRow {
  team_id: string
  hash: string
  size_bytes: number
  created_at: number
  last_used_at: number
}

export interface LifecycleEventRow {
  sequence: Generated<number>
  id: string
  team_id: string
  sandbox_id: string
  template_id: string
  type: string
  at: number
  reason: string | null
  /** JSON object */
  detail: string
}

export interface TeamSampleRow {
  team_id: string
  at: number
  running_sandboxes: number
  starts_per_second: number
}

export interface NodeStatusRow {
  node_id: string
  status: string
}

export interface SandboxMetricsRow {
  sandbox_id: string
  at: number
  cpu_count: number
  cpu_used_pct: number
  mem_used: number
  mem_total: number
  mem_cache: number
  disk_used: number
  disk_total: number
}

export interface SandboxLogRow {
  sequence: Generated<number>
  team_id: string
  sandbox_id: string
  at: number
  level: LogLevel
  message: string
  /** JSON object of strings */
  fields: string
}

export interface WebhookRow {
  id: string
  team_id: string
  name: string
  url: string
  enabled: number
  /** JSON array of event types; empty: all */
  events: string
  secret: string
  created_at: number
  /** `sequence` of the last event that is done with */
  cursor: number
  /** Failed attempts at the next one */
  attempts: number
  not_before: number
  last_error: string | null
}

export interface PrivateImageRow {
  image: string
  image_id: string | null
}
