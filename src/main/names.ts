/** By which names clients reach the server, and what makes these names work: certificates and DNS. */
import { isIP } from 'node:net'
import { join } from 'node:path'
import { type DnsResponder, startDns } from '../dns/responder.ts'
import type { CredentialsSource } from '../domain/credentials.ts'
import type { Log } from '../lib/log.ts'
import { localCredentials } from '../tls/local-credentials.ts'
import { userCredentials } from '../tls/user-credentials.ts'
import { type Config, ConfigError } from './config.ts'
import { followResponder } from './domain/domain.ts'

type NamedConfig = Pick<Config, 'domain' | 'tls' | 'host'>

/** The domain that clients are told, with the port they need; `port` is the listener's. */
export function publicDomain({ domain, tls }: NamedConfig, port: number): string {
  if (domain === undefined) return `localhost:${port}`
  const { name, publicPort = tls ? port : 443 } = domain
  // Clients put https:// before it.
  return publicPort === 443 ? name : `${name}:${publicPort}`
}

/** Base URL of the API. */
export function apiUrl(config: NamedConfig, port: number): string {
  if (config.domain !== undefined && config.tls) return `https://api.${publicDomain(config, port)}`
  const { host } = config
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The certificate to speak TLS with; undefined: no TLS. Errors: `failed_precondition` with what to do. */
export async function openCredentials(config: Config, log: Log): Promise<CredentialsSource | undefined> {
  const { domain, tls, tlsCert, tlsKey, stateDir } = config
  if (!tls || domain === undefined) return undefined
  if (tlsCert !== undefined && tlsKey !== undefined) {
    return userCredentials({ certFile: tlsCert, keyFile: tlsKey, domain: domain.name, log })
  }
  return localCredentials({ folder: authorityFolder(stateDir, domain.name), domain: domain.name, log })
}

/** Where the authority of a domain is kept. */
export function authorityFolder(stateDir: string, domain: string): string {
  return join(stateDir, 'tls', domain)
}

/** The DNS responder; undefined: none is asked for. `listening`: the listener's address. Errors: `ConfigError`. */
export async function openDns(
  { domain, dns, stateDir }: Config,
  listening: string,
  log: Log,
): Promise<DnsResponder | undefined> {
  if (dns === undefined || domain === undefined) return undefined
  // Who can ask there can also reach a listener on every address there.
  const isEverywhere = listening === '0.0.0.0' || listening === '::' || isIP(listening) === 0
  const zone = { domain: domain.name, address: isEverywhere ? dns.address : listening }
  try {
    const responder = await startDns({ listen: dns, zone, log })
    const follow = (to: Parameters<typeof followResponder>[1]) => {
      try {
        followResponder(stateDir, to)
      } catch (error) {
        log.warn({ err: error }, 'what "domain on" has set up could not follow')
      }
    }
    follow({ domain: domain.name, address: dns.address })
    return {
      address: responder.address,
      close() {
        follow(null)
        responder.close()
      },
    }
  } catch (error) {
    throw new ConfigError(
      `Can't answer DNS on ${dns.address} port ${dns.port} (${(error as Error).message}). Choose another address with --dns.`,
    )
  }
}
