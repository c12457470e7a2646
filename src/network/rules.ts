/** The rules of a server's sandboxes as text for `nft -f`. */
import { closedV4 } from './ranges.ts'
import rules from './rules.json' with { type: 'json' }

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
 *
 * The rules stand in rules.json, which `e2b-host` makes its own from too. A line whose value is missing is left out.
 */
export function instanceRules(subject: RuleSubject): string {
  const { table, bounds, ...rest } = subject
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries({ ...rest, ...bounds, closed: closedV4 })) {
    const text = String(Array.isArray(value) ? value.join(', ') : value)
    if (text !== '') values[name] = text
  }
  const blocks = rules.table.map(({ name, lines }) =>
    blockOf(
      name,
      lines.flatMap((line) => filled(line, values)),
    ),
  )
  return `${removalOf(table)}table inet ${table} {\n${blocks.join('')}}\n`
}

/** How many rules each chain of a table has, by its name, in a text as `instanceRules` makes it or the kernel lists it. */
export function chainSizes(text: string): Map<string, number> {
  const chains = text.matchAll(/^\s*chain (\w+) \{\n([\s\S]*?)^\s*\}$/gm)
  return new Map([...chains].map(([, name = '', body = '']) => [name, body.trimEnd().split('\n').length]))
}

/** A line with its values, or none. */
function filled(line: string, values: Record<string, string>): string[] {
  const names = [...line.matchAll(/\$(\w+)/g)].map(([, name = '']) => name)
  if (names.some((name) => values[name] === undefined)) return []
  return [line.replace(/\$(\w+)/g, (_, name) => values[name] ?? '')]
}

function blockOf(name: string, lines: readonly string[]): string {
  return `  ${name} {\n${lines.map((line) => `    ${line}\n`).join('')}  }\n`
}
