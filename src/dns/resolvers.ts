import { Resolver } from 'node:dns'
import { readFileSync } from 'node:fs'
import { asidePrefix } from '../lib/resolv-conf.ts'

export interface ResolverAddress {
  address: string
  port: number
}

/** How long the system's list is believed, in milliseconds: networks come and go. */
const keepMs = 30_000

/** Where systemd-resolved listens for this machine's programs, and the list of those whom it asks itself. */
const resolvedListensOn = ['127.0.0.53', '127.0.0.54']
const resolvedList = '/run/systemd/resolve/resolv.conf'
const resolvConf = '/etc/resolv.conf'

interface Sources {
  /** As Node writes them */
  set: () => string[]
  behindResolved: () => string[]
  setAside: () => string[]
}

/**
 * The resolvers that this machine is set to use, without `own`, the address of this server's own responder for a domain.
 * Not systemd-resolved but those behind it: a responder that is among its servers would ask who asks it. Where the machine
 * asks nobody but this server, those that it asked before.
 */
export function systemResolvers(
  own: ResolverAddress,
  domain: string,
  {
    set = () => new Resolver().getServers(),
    behindResolved = () => nameserversOf(resolvedList),
    setAside = () => nameserversOf(resolvConf, asidePrefix(domain)),
  }: Partial<Sources> = {},
): () => ResolverAddress[] {
  const isOther = ({ address, port }: ResolverAddress) => address !== own.address || port !== own.port
  let known: ResolverAddress[] = []
  let readAtMs = Number.NEGATIVE_INFINITY
  return () => {
    if (performance.now() - readAtMs < keepMs) return known
    readAtMs = performance.now()
    const found = set().flatMap((text) => {
      const resolver = parse(text)
      if (!resolvedListensOn.includes(resolver.address)) return [resolver]
      const behind = behindResolved().map(parse)
      return behind.length > 0 ? behind : [resolver]
    })
    const others = found.filter(isOther)
    known = others.length > 0 ? others : setAside().map(parse).filter(isOther)
    return known
  }
}

/** Those of a file like resolv.conf whose lines begin with a prefix; none where there is no such file. */
function nameserversOf(path: string, prefix = ''): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n')
    const ours = lines.flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length)] : []))
    return ours.flatMap((line) => /^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? [])
  } catch {
    return []
  }
}

/** As Node writes them: an address, with a port only where it isn't 53. */
function parse(text: string): ResolverAddress {
  const withPort = /^\[(.+)\]:(\d+)$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text)
  return withPort ? { address: withPort[1]!, port: Number(withPort[2]) } : { address: text, port: 53 }
}
