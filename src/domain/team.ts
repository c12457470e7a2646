/** Whoever owns sandboxes and keys. */
export interface Team {
  /** A UUID */
  id: string
  name: string
  /** The namespace of its names, `slug/name:tag`; unique. See `isSlug` */
  slug: string
  /** Unix milliseconds */
  createdAt: number
  /** What is set for this team. For what is absent the server's own limits count */
  limits: Partial<TeamLimits>
}

/** What one team may use at a time; null: as much as it likes. */
export interface TeamLimits {
  /** Sandboxes that run or start */
  runningSandboxes: number | null
  /** Sum of `cpuCount` over those */
  vcpu: number | null
  /** Sum of `memoryMb` over those */
  memoryMb: number | null
  /** May have a fraction; whoever pauses may catch up one second's worth, but at least one */
  createsPerSecond: number | null
  /** Longest life of a sandbox, in seconds */
  lifetimeS: number | null
}

export const unlimited: TeamLimits = {
  runningSandboxes: null,
  vcpu: null,
  memoryMb: null,
  createsPerSecond: null,
  lifetimeS: null,
}

/** Whether `text` can be a team's slug: 1 to 63 lower-case letters, digits, dashes and underscores. */
export function isSlug(text: string): boolean {
  return /^[a-z0-9][a-z0-9_-]{0,62}$/.test(text)
}

/** A key as stored: its SHA-256 only. Times are Unix milliseconds. */
export interface ApiKey {
  /** A UUID */
  id: string
  teamId: string
  name: string
  /** Lower-case hex of SHA-256 over the whole key */
  hash: string
  /** First and last characters, to tell keys apart, e.g. `e2b_12…89ab` */
  mask: string
  createdAt: number
  /** To the minute; null: never */
  lastUsedAt: number | null
}

export interface TeamStore {
  /** Errors: `conflict` when the id or the slug exists. */
  create(team: Team): Promise<void>
  find(id: string): Promise<Team | undefined>
  findBySlug(slug: string): Promise<Team | undefined>
  /** Oldest first. */
  list(): Promise<Team[]>
  /** The oldest team: the one that a server starts with. */
  first(): Promise<Team | undefined>
  /** Replaces what is set for a team. Errors: `not_found`. */
  setLimits(id: string, limits: Partial<TeamLimits>): Promise<void>
}

export interface ApiKeyStore {
  findByHash(hash: string): Promise<ApiKey | undefined>
  find(id: string): Promise<ApiKey | undefined>
  /** Oldest first. */
  list(teamId: string): Promise<ApiKey[]>
  /** Errors: `conflict` when the hash exists. */
  create(key: ApiKey): Promise<void>
  /** Errors: `not_found`. */
  rename(id: string, name: string): Promise<void>
  /** Records a use. A key that is gone is no error. */
  touch(id: string, at: number): Promise<void>
  /** Errors: `not_found`. */
  remove(id: string): Promise<void>
}
