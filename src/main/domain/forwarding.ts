/** Whether the server's responder can take the place of this machine's resolvers: it answers about other names as they do. */
import { promises as dns } from 'node:dns'
import { isIPv6 } from 'node:net'
import { type ResolverAddress, systemResolvers } from '../../dns/resolvers.ts'
import { ConfigError } from '../config.ts'

/** A name that there is and one that there isn't (RFC 2606). */
const names = ['example.com', 'e2b-server.invalid']
const askTimeoutMs = 5000

/** Errors: `ConfigError` when a resolver of this machine answers something, and the responder doesn't. */
export async function requireForwarding(
  domain: string,
  responder: ResolverAddress,
  resolvers: ResolverAddress[] = systemResolvers(responder, domain)(),
): Promise<void> {
  for (const name of names) {
    const [direct, passedOn] = await Promise.all([
      resolvers.length === 0 ? 'ETIMEOUT' : outcome(name, resolvers),
      outcome(name, [responder]),
    ])
    if (direct === passedOn || !isAnswer(direct)) continue
    throw new ConfigError(
      `The server's DNS responder doesn't answer about other names as this machine's resolvers do (${name}: ${passedOn}, they say ${direct}), so /etc/resolv.conf is left as it is. "npx e2b-server logs" may have the cause.`,
    )
  }
}

const isAnswer = (outcome: string) =>
  outcome === 'an address' || outcome === 'ENOTFOUND' || outcome === 'ENODATA'

async function outcome(name: string, servers: ResolverAddress[]): Promise<string> {
  const resolver = new dns.Resolver({ timeout: askTimeoutMs, tries: 2 })
  resolver.setServers(
    servers.map(({ address, port }) => (isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`)),
  )
  try {
    await resolver.resolve4(name)
    return 'an address'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}
