/** Bodies about teams, keys and nodes in E2B's spelling (e2b-wire 2.3). Sizes are in bytes. */

export interface ApiKeyNameBody {
  name: string
}

export interface MaskBody {
  prefix: string
  valueLength: number
  maskedValuePrefix: string
  maskedValueSuffix: string
}

export interface ApiKeyBody {
  /** A UUID */
  id: string
  name: string
  mask: MaskBody
  createdAt: string
  /** The user who made it; this server knows teams only */
  createdBy: null
  lastUsed: string | null
}

export interface CreatedApiKeyBody extends ApiKeyBody {
  key: string
}

export interface TeamBody {
  teamID: string
  name: string
  apiKey: string
  isDefault: boolean
}

/** Times in Unix seconds */
export interface TeamMetricsQuery {
  start?: number
  end?: number
}

export interface MaxTeamMetricQuery extends TeamMetricsQuery {
  metric: 'concurrent_sandboxes' | 'sandbox_start_rate'
}

export interface TeamMetricBody {
  timestamp: string
  timestampUnix: number
  concurrentSandboxes: number
  sandboxStartRate: number
}

export interface MaxTeamMetricBody {
  timestamp: string
  timestampUnix: number
  value: number
}

export interface NodeStatusBody {
  clusterID?: string
  status: 'ready' | 'draining'
}

/** Of both the list and one node: clients of either find what they look for. */
export interface NodeBody {
  id: string
  clusterID: string
  serviceInstanceID: string
  version: string
  commit: string
  status: 'ready' | 'draining'
  sandboxCount: number
  sandboxStartingCount: number
  createSuccesses: number
  createFails: number
  machineInfo: { cpuArchitecture: string; cpuFamily: string; cpuModel: string; cpuModelName: string }
  metrics: {
    allocatedCPU: number
    allocatedMemoryBytes: number
    cpuCount: number
    cpuPercent: number
    memoryTotalBytes: number
    memoryUsedBytes: number
    disks: {
      mountPoint: string
      device: string
      filesystemType: string
      totalBytes: number
      usedBytes: number
    }[]
  }
}

export interface NodeDetailBody extends NodeBody {
  cachedBuilds: string[]
}

/** What E2B calls the cluster of a server that has one only. */
export const clusterId = '00000000-0000-0000-0000-000000000000'
