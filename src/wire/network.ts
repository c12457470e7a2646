/** The `network` of sandboxes: from E2B's spelling to ours and back, with E2B's rules and texts (e2b-wire 2.1). */
import { isIP } from 'node:net'
import { ServerError } from '../domain/error.ts'
import type { EgressRules, SandboxNetwork } from '../domain/network.ts'
import type { SandboxNetworkBody, SandboxNetworkUpdateBody } from './sandbox.ts'

/** Denies everything: what a list of allowed domains needs beside it. */
const allTraffic = '0.0.0.0/0'
/** Most that rules may have (e2b-behaviour 3.7). */
const rulesMax = { domains: 10, headers: 20, domainLength: 128, nameLength: 64, valueLength: 2048 }

/** Errors: `invalid_argument`, `forbidden` (an egress proxy). */
export function parseNetwork(body: SandboxNetworkBody): SandboxNetwork {
  return {
    ...parseEgress(body),
    allowPublicTraffic: body.allowPublicTraffic ?? true,
    maskRequestHost: parseMask(body.maskRequestHost ?? null),
    httpsPorts: [...new Set(body.httpsPorts ?? [])],
  }
}

/** Errors: those of `parseNetwork`. */
export function parseEgress(body: SandboxNetworkUpdateBody): EgressRules {
  if (body.egressProxy != null) {
    throw new ServerError('forbidden', 'This server has no egress proxies: leave egressProxy out.')
  }
  const allowOut = body.allowOut ?? []
  const denyOut = body.denyOut ?? []
  for (const entry of denyOut) {
    if (!isNetwork(entry)) {
      throw invalid(`'${entry}' in denyOut is not an IP address or a CIDR block; domains can't be denied.`)
    }
  }
  for (const entry of allowOut) {
    if (!isNetwork(entry) && !isDomain(entry)) {
      throw invalid(`'${entry}' in allowOut is not an IP address, a CIDR block or a domain name.`)
    }
  }
  if (allowOut.some((entry) => !isNetwork(entry)) && !denyOut.includes(allTraffic)) {
    throw invalid(
      "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all other traffic.",
    )
  }
  return { allowOut, denyOut, rules: parseRules(body.rules ?? {}) }
}

/** As clients see it. */
export function presentNetwork(network: SandboxNetwork): SandboxNetworkBody {
  const rules = Object.entries(network.rules).map(([domain, transforms]) => [
    domain,
    transforms.map((transform) => ({ transform })),
  ])
  return {
    allowPublicTraffic: network.allowPublicTraffic,
    ...(network.allowOut.length > 0 && { allowOut: network.allowOut }),
    ...(network.denyOut.length > 0 && { denyOut: network.denyOut }),
    ...(network.maskRequestHost !== null && { maskRequestHost: network.maskRequestHost }),
    ...(rules.length > 0 && { rules: Object.fromEntries(rules) }),
    ...(network.httpsPorts.length > 0 && { httpsPorts: network.httpsPorts }),
  }
}

/** A host name with or without a port, where `${PORT}` may stand for either's digits. */
function parseMask(mask: string | null): string | null {
  if (mask === null) return null
  const example = mask.replaceAll(/\$\{PORT\}/g, '1')
  if (/^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})(:\d{1,5})?$/.test(example)) return mask
  throw invalid(`'${mask.slice(0, 64)}' in maskRequestHost is not a host name, with or without ':\${PORT}'.`)
}

function parseRules(rules: NonNullable<SandboxNetworkUpdateBody['rules']>): EgressRules['rules'] {
  const domains = Object.entries(rules)
  if (domains.length > rulesMax.domains) throw invalid(`rules may name at most ${rulesMax.domains} domains.`)
  return Object.fromEntries(
    domains.map(([key, transforms]) => {
      const domain = key.toLowerCase()
      if (domain === '*' || !isDomain(domain) || domain.length > rulesMax.domainLength) {
        throw invalid(`'${domain.slice(0, 64)}' in rules is not a domain name.`)
      }
      if (transforms.length > 1) throw invalid(`rules for '${domain}' may have one transform.`)
      return [
        domain,
        transforms.map(({ transform }) => ({ headers: parseHeaders(domain, transform?.headers ?? {}) })),
      ]
    }),
  )
}

function parseHeaders(domain: string, headers: Record<string, string>): Record<string, string> {
  const entries = Object.entries(headers)
  if (entries.length > rulesMax.headers) {
    throw invalid(`rules for '${domain}' may set at most ${rulesMax.headers} headers.`)
  }
  for (const [name, value] of entries) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || name.length > rulesMax.nameLength) {
      throw invalid(`rules for '${domain}' have a header whose name is not valid.`)
    }
    if (value.length > rulesMax.valueLength || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw invalid(`rules for '${domain}' have a value of header '${name}' that is not valid.`)
    }
  }
  return headers
}

/** An IP address, alone or with the length of a prefix. */
function isNetwork(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}

/** A domain name, or one with `*.` before it; `*` is every domain. */
function isDomain(text: string): boolean {
  const name = text.replace(/^\*\./, '')
  if (text === '*') return true
  return (
    name.length <= 253 &&
    /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(name)
  )
}

function invalid(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
