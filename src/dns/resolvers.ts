import { Resolver } from 'node:dns'

export interface ResolverAddress {
  address: string
  port: number
}

/** How long the system's list is believed, in milliseconds: networks come and go. */
const keepMs = 30_000

/** The resolvers that this machine is set to use, without `own`, the address of this server's own. */
export function systemResolvers(own: ResolverAddress): () => ResolverAddress[] {
  let known: ResolverAddress[] = []
  let readAtMs = Number.NEGATIVE_INFINITY
  return () => {
    if (performance.now() - readAtMs < keepMs) return known
    readAtMs = performance.now()
    known = new Resolver()
      .getServers()
      .map(parse)
      .filter(({ address, port }) => address !== own.address || port !== own.port)
    return known
  }
}

/** As Node writes them: an address, with a port only where it isn't 53. */
function parse(text: string): ResolverAddress {
  const withPort = /^\[(.+)\]:(\d+)$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text)
  return withPort ? { address: withPort[1]!, port: Number(withPort[2]) } : { address: text, port: 53 }
}
