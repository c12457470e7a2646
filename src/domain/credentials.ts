/** A certificate with those between it and its authority, and its private key; both PEM. */
export interface Credentials {
  cert: string
  key: string
}

/** Where a listener's certificate comes from. */
export interface CredentialsSource {
  /** The ones to start with */
  readonly first: Credentials
  /** The certificate of an authority that clients have to be told to trust; undefined: none, they trust it already */
  readonly authority: Authority | undefined
  /** Calls `onChange` whenever there are newer ones, until the signal aborts. Never rejects. */
  watch(onChange: (credentials: Credentials) => void, signal: AbortSignal): Promise<void>
}

export interface Authority {
  /** Path of its certificate, PEM */
  file: string
  /** Path of a file with it and everything that this machine trusts: for programs that take one file and no more */
  bundleFile: string
}
