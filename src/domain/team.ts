/** Whoever owns sandboxes and keys. */
export interface Team {
  id: string
  name: string
}

/** A key as stored: its SHA-256 only. Times are Unix milliseconds. */
export interface ApiKey {
  id: string
  teamId: string
  name: string
  /** Lower-case hex of SHA-256 over the whole key */
  hash: string
  /** First and last characters, to tell keys apart, e.g. `e2b_12…89ab` */
  mask: string
  createdAt: number
}

export interface TeamStore {
  /** Creates or replaces by id. */
  put(team: Team): Promise<void>
  /** The oldest team: the one that a server starts with. */
  first(): Promise<Team | undefined>
}

export interface ApiKeyStore {
  findByHash(hash: string): Promise<ApiKey | undefined>
  list(teamId: string): Promise<ApiKey[]>
  /** Errors: `conflict` when the hash exists. */
  create(key: ApiKey): Promise<void>
  /** Errors: `not_found`. */
  remove(id: string): Promise<void>
}
