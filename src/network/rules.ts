/** The rules of a server's sandboxes as text for `nft -f`. */
import { closedV4 } from './ranges.ts'

/** What one server's rules are made for. */
export interface RuleSubject {
  /** The name of its table, in letters, digits and underscores */
  table: string
  /** The interface on this machine that all its sandboxes are behind */
  bridge: string
  /** The sandboxes' own network, IPv4 in CIDR notation */
  subnet: string
  /** Name servers that are asked from inside of sandboxes, IPv4 */
  resolvers: readonly string[]
  /** What the operator has opened, IPv4 in CIDR notation */
  allow: readonly string[]
  /** The one port of sandboxes that this machine connects to */
  agentPort: number
  bounds: Bounds
}

/** Of each sandbox. */
export interface Bounds {
  /** Connections at once, as the kernel tracks them */
  connections: number
  /** New ones in a second, with as many more at a time as it may have at once */
  connectionsPerSecond: number
  /** Packets outwards in a second; one may be a whole segment of tens of KiB */
  packetsPerSecond: number
}

/** `trackedMax`: connections that the kernel tracks for the whole machine. */
export function boundsFor(trackedMax: number): Bounds {
  const connections = Math.min(Math.max(Math.floor(trackedMax / 64), 512), 16_384)
  return { connections, connectionsPerSecond: 256, packetsPerSecond: 50_000 }
}

/** Removes a table that may not be there, for use in front of others in one transaction. */
export function removalOf(table: string): string {
  return `add table inet ${table}\ndelete table inet ${table}\n`
}

/**
 * A whole table, in the place of the one that was there: one transaction, so at no time are there no rules. It comes before
 * the engine's own chains, and what it drops none of them can accept. What a sandbox may not reach is refused, so that
 * programs don't wait; what exceeds a bound is dropped. Sandboxes have no IPv6.
 */
export function instanceRules(subject: RuleSubject): string {
  const { table, bridge, subnet, resolvers, allow, agentPort, bounds } = subject
  const refuse = 'reject with icmpx type admin-prohibited'
  const addresses = 'type ipv4_addr'
  const counted = [addresses, 'size 65536', 'flags dynamic']
  const chains = {
    outwards: [
      `oifname "${bridge}" drop`,
      `update @packets { ip saddr limit rate over ${bounds.packetsPerSecond}/second burst ${bounds.packetsPerSecond} packets } drop`,
      'ct state established,related accept',
      'jump bounded',
      'meta l4proto { tcp, udp } th dport 53 ip daddr @resolvers accept',
      'ip daddr @allowed accept',
      `ip daddr @closed ${refuse}`,
      'accept',
    ],
    to_host: [
      'ct state established,related accept',
      'jump bounded',
      'meta l4proto { tcp, udp } th dport 53 ip daddr @resolvers accept',
      'ip daddr @allowed accept',
      refuse,
    ],
    bounded: [
      'meta nfproto != ipv4 drop',
      `ip saddr != ${subnet} drop`,
      `update @starts { ip saddr limit rate over ${bounds.connectionsPerSecond}/second burst ${bounds.connections} packets } drop`,
      `add @tracked { ip saddr ct count over ${bounds.connections} } drop`,
    ],
    inwards: ['ct state established,related accept', 'drop'],
    from_host: [
      'ct state established,related accept',
      // What `to_host` answers.
      'icmp type destination-unreachable accept',
      `tcp dport ${agentPort} accept`,
      refuse,
    ],
    forward: [
      'type filter hook forward priority filter - 10; policy accept;',
      `iifname "${bridge}" goto outwards`,
      `oifname "${bridge}" goto inwards`,
    ],
    input: [
      'type filter hook input priority filter - 10; policy accept;',
      `iifname "${bridge}" goto to_host`,
    ],
    output: [
      'type filter hook output priority filter - 10; policy accept;',
      `oifname "${bridge}" goto from_host`,
    ],
  }
  const body = [
    setOf('resolvers', [addresses], resolvers),
    setOf('allowed', [addresses, 'flags interval', 'auto-merge'], allow),
    setOf('closed', [addresses, 'flags interval'], closedV4),
    setOf('packets', [...counted.slice(0, 2), 'flags dynamic,timeout', 'timeout 1m']),
    setOf('starts', [...counted.slice(0, 2), 'flags dynamic,timeout', 'timeout 1m']),
    setOf('tracked', counted),
    ...['bounded', 'outwards', 'to_host', 'inwards', 'from_host', 'forward', 'input', 'output'].map((name) =>
      blockOf('chain', name, chains[name as keyof typeof chains]),
    ),
  ]
  return `${removalOf(table)}table inet ${table} {\n${body.join('')}}\n`
}

/** How many rules each chain of a table has, by its name, in a text as `instanceRules` makes it or the kernel lists it. */
export function chainSizes(text: string): Map<string, number> {
  const chains = text.matchAll(/^\s*chain (\w+) \{\n([\s\S]*?)^\s*\}$/gm)
  return new Map([...chains].map(([, name = '', body = '']) => [name, body.trimEnd().split('\n').length]))
}

function setOf(name: string, properties: readonly string[], elements: readonly string[] = []): string {
  const filled = elements.length > 0 ? [`elements = { ${elements.join(', ')} }`] : []
  return blockOf('set', name, [...properties, ...filled])
}

function blockOf(kind: 'set' | 'chain', name: string, lines: readonly string[]): string {
  return `  ${kind} ${name} {\n${lines.map((line) => `    ${line}\n`).join('')}  }\n`
}
