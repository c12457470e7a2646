/**
 * Which addresses are nobody's on the open internet, so that only a machine's own network leads there: what sandboxes
 * can't reach and webhooks aren't sent to, unless the operator opens a range.
 */
import { BlockList, isIP } from 'node:net'
import rules from './rules.json' with { type: 'json' }

/** IPv4, as CIDR blocks that don't overlap. */
export const closedV4: readonly string[] = Object.keys(rules.closed)

/** IPv6 that doesn't stand for an IPv4 address. */
const closedV6: readonly string[] = [
  '::/128', // unspecified
  '::1/128', // loopback
  '100::/64', // discarded
  '64:ff9b:1::/48', // translators of a local network
  '2001::/32', // Teredo: leads to an IPv4 address that it hides
  'fc00::/7', // unique local, among them metadata services
  'fe80::/10', // link-local
  'fec0::/10', // site-local
  'ff00::/8', // multicast
]

/** Addresses, whichever notation they come in. */
export interface Ranges {
  has(address: string): boolean
}

export interface Cidr {
  address: string
  prefix: number
  family: 'ipv4' | 'ipv6'
}

/** An address, alone or with the length of a prefix; undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefix, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || address.includes('%') || more.length > 0) return undefined
  const longest = version === 4 ? 32 : 128
  if (prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) <= longest)) return undefined
  return { address, prefix: Number(prefix ?? longest), family: version === 4 ? 'ipv4' : 'ipv6' }
}

/**
 * A range of IPv4 has its addresses also as IPv6 writes them: mapped, compatible, NAT64, 6to4. Errors: `TypeError` for
 * what isn't a CIDR block.
 */
export function createRanges(blocks: readonly string[]): Ranges {
  const list = new BlockList()
  for (const block of blocks) {
    const cidr = parseCidr(block)
    if (cidr === undefined) throw new TypeError(`${block} is not a CIDR block.`)
    add(list, cidr)
  }
  return {
    has(address) {
      const plain = address.replace(/%.*$/, '')
      const version = isIP(plain)
      return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}

/** Every closed address of both families. */
export function closedRanges(): Ranges {
  return createRanges([...closedV4, ...closedV6])
}

function add(list: BlockList, { address, prefix, family }: Cidr): void {
  list.addSubnet(address, prefix, family)
  if (family === 'ipv6') return
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
  const [high, low] = [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)]
  for (const before of ['::', '::ffff:', '64:ff9b::']) {
    list.addSubnet(`${before}${high}:${low}`, 96 + prefix, 'ipv6')
  }
  list.addSubnet(`2002:${high}:${low}::`, 16 + prefix, 'ipv6')
}
