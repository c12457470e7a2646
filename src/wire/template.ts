/** Bodies about templates in E2B's spelling (e2b-wire 2.2, 4). */
import type { BuildStatus } from '../domain/template-build.ts'

/** Where upload links lead. */
export const uploadPath = '/template-files/'
/** How long an upload may take, in ms: as long as clients try. */
export const uploadTimeoutMs = 3_600_000

export interface TemplateAliasBody {
  templateID: string
  public: boolean
}

/** What both a template in a list and one with its builds say. */
interface TemplateCommonBody {
  templateID: string
  public: boolean
  /** Without namespace */
  aliases: string[]
  /** With namespace */
  names: string[]
  createdAt: string
  updatedAt: string
  lastSpawnedAt: string | null
  spawnCount: number
}

export interface TemplateBody extends TemplateCommonBody {
  /** Of the newest build that is ready, else of the newest */
  buildID: string
  /** Of the newest build */
  buildStatus: BuildStatus
  buildCount: number
  cpuCount: number
  memoryMB: number
  diskSizeMB: number
  envdVersion: string
  /** There are no users here */
  createdBy: null
}

/** As older clients read it: before templates had namespaces. */
export type TemplateLegacyBody = Omit<TemplateBody, 'names' | 'buildStatus'>

export interface TemplateWithBuildsBody extends TemplateCommonBody {
  builds: TemplateBuildBody[]
}

export interface TemplateBuildBody {
  buildID: string
  status: BuildStatus
  createdAt: string
  updatedAt: string
  finishedAt?: string
  cpuCount: number
  memoryMB: number
  diskSizeMB: number
  envdVersion: string
}

export interface TemplateTagBody {
  tag: string
  buildID: string
  createdAt: string
}

export interface BuildLogEntryBody {
  timestamp: string
  message: string
  level: string
  step?: string
}

export interface TemplateBuildInfoBody {
  templateID: string
  buildID: string
  status: BuildStatus
  /** Of the first generation's builds, whose clients read nothing else: the entries as lines with their ends */
  logs: string[]
  logEntries: BuildLogEntryBody[]
  reason?: { message: string; step?: string; logEntries: BuildLogEntryBody[] }
}

export interface ListTemplatesQuery {
  teamID?: string
  nextToken?: string
  limit: number
}

export interface BuildStatusQuery {
  logsOffset: number
  limit: number
  level?: string
}

export interface BuildLogsQuery {
  cursor?: number
  limit: number
  direction: 'forward' | 'backward'
  level?: string
  /** Of no effect: there is one log */
  source?: 'temporary' | 'persistent'
}

export interface UpdateTemplateBody {
  public?: boolean | null
}

export interface AssignTagsBody {
  target: string
  tags: string[]
}

export interface RemoveTagsBody {
  name: string
  tags: string[]
}

export interface CreateTemplateBody {
  /** With or without namespace and tag */
  name?: string | null
  /** What older clients call `name` */
  alias?: string | null
  tags?: string[] | null
  /** Of older clients */
  teamID?: string | null
  cpuCount?: number | null
  memoryMB?: number | null
  minFreeDiskMb?: number | null
}

/** The first generation's: what is built, and how its sandboxes are. */
export interface TemplateBuildRequestBody {
  /** Its text */
  dockerfile: string
  /** With or without namespace and tag */
  alias?: string | null
  teamID?: string | null
  startCmd?: string | null
  readyCmd?: string | null
  cpuCount?: number | null
  memoryMB?: number | null
}

export interface CreatedTemplateBody {
  templateID: string
  buildID: string
  public: boolean
  names: string[]
  tags: string[]
  aliases: string[]
}

export interface StartBuildBody {
  fromImage?: string | null
  fromTemplate?: string | null
  fromImageRegistry?: RegistryBody | null
  steps?: BuildStepBody[]
  force?: boolean
  startCmd?: string | null
  readyCmd?: string | null
}

export type RegistryBody =
  | { type: 'registry'; username: string; password: string }
  | { type: 'aws'; awsAccessKeyId: string; awsSecretAccessKey: string; awsRegion: string }
  | { type: 'gcp'; serviceAccountJson: string }

/** Other fields that clients send mean nothing here: they are for the clients themselves. */
export interface BuildStepBody {
  type: string
  args?: string[]
  filesHash?: string | null
  force?: boolean
}

export interface TemplateFilesBody {
  present: boolean
  url: string
}

export interface CollectGarbageBody {
  /** Empties the cache, whatever it may keep */
  all?: boolean | null
}

export interface StockTemplateBody {
  templateID: string
  names: string[]
  state: 'ready' | 'building' | 'failed' | 'missing'
  /** False: what sandboxes get, if anything, is of an earlier recipe */
  current: boolean
  /** How far a build that runs is, in words */
  progress: string | null
  /** Of the newest build */
  buildID: string | null
  /** Why that failed */
  reason: string | null
  cpuCount: number
  memoryMB: number
}

export interface BuildStockBody {
  /** Makes every step again */
  force?: boolean | null
}

export interface StockBuildBody {
  templateID: string
  buildID: string
  status: BuildStatus
}

export interface CollectedBody {
  builds: number
  /** Of earlier recipes of stock templates */
  images: number
  layers: number
  files: number
  bytes: number
}
