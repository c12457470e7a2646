/** What a sandbox's traffic may do, in our spelling; the wire's is `wire/network.ts` (e2b-wire 2.1). */
export interface SandboxNetwork extends IngressRules, EgressRules {}

/** Fixed at creation. */
export interface IngressRules {
  /** Whether ports are open to whoever knows their name; else they ask for the traffic token */
  allowPublicTraffic: boolean
  /** The `Host` that servers inside are told, with `${PORT}` for the port; null: the one that was asked for */
  maskRequestHost: string | null
  /** Ports whose servers speak TLS, with certificates that nobody checks */
  httpsPorts: number[]
}

/** Replaced as a whole by an update. Kept and shown; enforced only where the runtime's capabilities say so. */
export interface EgressRules {
  /** Addresses, networks (CIDR) and domain names */
  allowOut: string[]
  /** Addresses and networks (CIDR) */
  denyOut: string[]
  /** By domain: headers that requests to it get */
  rules: Record<string, { headers: Record<string, string> }[]>
}
