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

/** What of a sandbox's traffic out is let through, without rules for single destinations. */
export type Egress = 'open' | 'closed'

/** Replaced as a whole by an update. Kept and shown; enforced only where the runtime's capabilities say so. */
export interface EgressRules {
  /** Addresses, networks (CIDR) and domain names */
  allowOut: string[]
  /** Addresses and networks (CIDR) */
  denyOut: string[]
  /** By domain: headers that requests to it get */
  rules: Record<string, { headers: Record<string, string> }[]>
}

/** As E2B's clients write it: every address there is. */
const everything = /^\d+\.\d+\.\d+\.\d+\/0+$/

/** What of the rules needs more than a switch, by the name of the field; undefined where nothing does. */
export function ruleBeyondSwitch({ allowOut, denyOut, rules }: EgressRules): keyof EgressRules | undefined {
  if (Object.keys(rules).length > 0) return 'rules'
  if (allowOut.length > 0) return 'allowOut'
  return denyOut.length > 0 && !denyOut.some((entry) => everything.test(entry)) ? 'denyOut' : undefined
}

/** Of rules that need no more than a switch. Undefined: nobody has ever said anything, so it is open as it was made. */
export function egressOf(sandbox: {
  network: SandboxNetwork | null
  allowInternetAccess: boolean | null
}): Egress | undefined {
  const { network, allowInternetAccess } = sandbox
  if (allowInternetAccess === false || (network !== null && network.denyOut.length > 0)) return 'closed'
  return network === null && allowInternetAccess === null ? undefined : 'open'
}
