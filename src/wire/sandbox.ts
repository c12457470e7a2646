/** The REST API's bodies in E2B's spelling (e2b-wire 2.1). Lifetimes are in seconds. */

export interface NewSandboxBody {
  templateID: string
  timeout: number
  /** First generation only */
  secure?: boolean
  metadata?: Record<string, string>
  envVars?: Record<string, string>
  allow_internet_access?: boolean | null
  autoPause?: boolean
  autoPauseMemory?: boolean
  autoResume?: { enabled: boolean } | null
  network?: SandboxNetworkBody | null
  volumeMounts?: { name: string; path: string }[] | null
  /** Of no effect, as with E2B */
  mcp?: object | null
  iam?: object | null
}

export interface SandboxNetworkBody extends Omit<SandboxNetworkUpdateBody, 'allow_internet_access'> {
  allowPublicTraffic?: boolean | null
  maskRequestHost?: string | null
  httpsPorts?: number[] | null
}

/** Replaces all that it can name; what is absent is cleared. */
export interface SandboxNetworkUpdateBody {
  allowOut?: string[] | null
  denyOut?: string[] | null
  egressProxy?: object | null
  /** By domain */
  rules?: Record<string, { transform?: { headers?: Record<string, string> } }[]> | null
  allow_internet_access?: boolean | null
}

export interface PauseSandboxBody {
  memory?: boolean | null
  /** Refuse the pause while the sandbox's agent doesn't answer */
  requireHealthyGuest?: boolean | null
}

export interface ResumeSandboxBody {
  timeout: number
  autoPause?: boolean | null
  memory?: boolean | null
}

export interface RefreshSandboxBody {
  duration?: number
}

export interface SnapshotSandboxBody {
  name?: string | null
  /** Whether processes are to be in it; absent: whatever the runtime can */
  memory?: boolean | null
}

export interface ForkSandboxBody {
  timeout?: number
  count?: number
}

export interface ListSnapshotsQuery {
  sandboxID?: string
  name?: string
  nextToken?: string
  limit: number
}

export interface SnapshotBody {
  snapshotID: string
  names: string[]
}

export interface ConnectSandboxBody {
  timeout: number
  memory?: boolean | null
}

export interface SandboxTimeoutBody {
  timeout: number
}

export interface ListSandboxesQuery {
  metadata?: string
  state?: string
  order: 'asc' | 'desc'
  startedAfter?: string
  template?: string
  nextToken?: string
  limit: number
}

export interface SandboxBody {
  templateID: string
  sandboxID: string
  clientID: string
  envdVersion: string
  alias?: string
  envdAccessToken?: string
  trafficAccessToken?: string
  domain: string | null
}

export interface ListedSandboxBody {
  templateID: string
  sandboxID: string
  clientID: string
  alias?: string
  startedAt: string
  endAt: string
  envdVersion: string
  cpuCount: number
  memoryMB: number
  diskSizeMB: number
  state: 'running' | 'paused'
  metadata: Record<string, string>
}

export interface SandboxDetailBody extends ListedSandboxBody {
  envdAccessToken?: string
  domain: string | null
  allowInternetAccess: boolean | null
  network?: SandboxNetworkBody
  /** Of a paused one: what its pause has kept */
  pauseMode?: 'full' | 'filesystem'
  lifecycle: { autoResume: boolean; onTimeout: 'kill' | 'pause' }
}

/**
 * The envd version that clients are told: SDKs switch their features on by it, and below 0.6.4 some are silently off
 * (e2b-wire 3.7).
 */
export const envdVersion = '0.6.13'

/** Obsolete, but required by clients' parsers (e2b-behaviour 1.3). */
export const clientId = '6532622b'
