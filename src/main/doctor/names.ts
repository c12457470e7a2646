/**
 * Whether programs on this machine reach a running server by its names, and believe it; before it runs, whether what its
 * names need is there.
 */
import { X509Certificate } from 'node:crypto'
import { promises as dns } from 'node:dns'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { isIP, isIPv6 } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { Check, DomainStatus } from '../../cli/actions.ts'
import { connectSocket } from '../../lib/connect-socket.ts'
import { silentLog } from '../../lib/log.ts'
import { userCredentials } from '../../tls/user-credentials.ts'
import type { Config } from '../config.ts'
import { domainStatus } from '../domain/domain.ts'
import { authorityFolder } from '../names.ts'
import type { Reach } from '../state-dir.ts'
import { check, type Finding, lookTimeoutMs, Trouble } from './check.ts'
import type { Running } from './running.ts'

const dayMs = 86_400_000
const expiresSoonMs = 14 * dayMs

export function lookAtNames(config: Config, running: Running | undefined): Promise<Check>[] {
  const status = domainStatus(config.stateDir)
  const set = status === null ? [] : [check('domain on', async () => settings(status, running))]
  return [...set, ...(running === undefined ? lookAhead(config) : lookAtServer(running))]
}

function lookAtServer(running: Running): Promise<Check>[] {
  const { url, reach } = running
  if (reach.domain === null) return [check('names', localhost)]
  const domain = reach.domain.replace(/:\d+$/, '')
  const isEncrypted = url.startsWith('https:')
  return [
    ...(reach.dns === null ? [] : [check('DNS responder', () => responder(domain, reach.dns!))]),
    check('names', () => resolution(domain, running.reach)),
    ...(isEncrypted ? [check('certificate', () => certificate(domain, running))] : []),
    ...(isEncrypted ? [check('trust', () => trust(domain, running))] : []),
  ]
}

/** Whether what `domain on` changed is there still, and is about the server that runs. */
function settings({ domain, isWhole, parts }: DomainStatus, running: Running | undefined): Finding {
  const remedy = 'Run "npx e2b-server domain on" again, or "domain off".'
  const served = running?.reach.domain?.replace(/:\d+$/, '')
  if (running !== undefined && served !== domain) {
    const detail = `it was run for ${domain}, and the server has ${served ?? 'no domain'}`
    return { detail, state: 'warn', remedy }
  }
  if (!isWhole) return { detail: 'it broke off, or failed', state: 'warn', remedy }
  const amiss = parts.filter(({ state }) => state === 'missing' || state === 'changed')
  if (amiss.length === 0) return { detail: `what it changed for ${domain} is there` }
  const found = amiss.map(
    ({ path, state }) => `${path} ${state === 'missing' ? 'lacks its lines' : 'was edited'}`,
  )
  return { detail: found.join(', '), state: 'warn', remedy }
}

/** What a start will need. */
function lookAhead(config: Config): Promise<Check>[] {
  const { domain, dns: responds, tls, host } = config
  if (domain === undefined) return [check('names', localhost)]
  return [
    ...(responds === undefined ? [check('names', () => resolution(domain.name, { host, dns: null }))] : []),
    ...(tls ? [check('certificate', () => credentials(config, domain.name))] : []),
  ]
}

async function credentials({ tlsCert, tlsKey, stateDir }: Config, domain: string): Promise<Finding> {
  if (tlsCert === undefined || tlsKey === undefined) {
    const file = join(authorityFolder(stateDir, domain), 'ca.pem')
    return {
      detail: existsSync(file) ? `issued by the authority ${file}` : 'of an authority that the start makes',
    }
  }
  const { first } = await userCredentials({ certFile: tlsCert, keyFile: tlsKey, domain, log: silentLog })
  return validity(new X509Certificate(first.cert), domain, renewal)
}

const renewal = 'Put a new certificate into the files of --tls-cert and --tls-key: a running server takes it.'

async function localhost(): Promise<string> {
  try {
    await dns.lookup('localhost')
  } catch {
    throw new Trouble('"localhost" has no address.', 'Add "127.0.0.1 localhost" to /etc/hosts.')
  }
  return 'localhost; browsers and curl open <port>-<id>.localhost as well'
}

async function responder(
  domain: string,
  { address, port }: { address: string; port: number },
): Promise<string> {
  const resolver = new dns.Resolver({ timeout: lookTimeoutMs / 2, tries: 1 })
  resolver.setServers([isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`])
  const found = await Promise.any([
    resolver.resolve4(`api.${domain}`),
    resolver.resolve6(`api.${domain}`),
  ]).catch(() => [])
  if (found.length > 0) return `${address} port ${port} answers: *.${domain} is ${found.join(', ')}`
  throw new Trouble(`${address} port ${port} does not answer.`, 'Restart the server; its log has the cause.')
}

async function resolution(domain: string, reach: Pick<Reach, 'host' | 'dns'>): Promise<Finding> {
  const name = `3000-iexample.${domain}`
  const remedy =
    reach.dns === null
      ? `Point *.${domain} at this machine in your DNS, or let the server answer for it with --dns 127.0.0.1:53.`
      : 'Run "npx e2b-server domain on" as root, which tells the resolver of this machine to ask the server.'
  let address: string
  try {
    address = (await dns.lookup(name)).address
  } catch {
    throw new Trouble(`The system's resolver does not find ${name}.`, remedy)
  }
  const detail = `the system's resolver has ${address} for *.${domain}`
  const isElsewhere =
    isIP(reach.host) !== 0 && !/^(0\.0\.0\.0|::)$/.test(reach.host) && reach.host !== address
  // It may be a proxy in front.
  return isElsewhere
    ? { detail: `${detail}, the server listens on ${reach.host}`, state: 'warn', remedy }
    : { detail }
}

async function certificate(domain: string, running: Running): Promise<Finding> {
  const { raw } = await handshake(domain, running)
  if (raw === undefined) throw new Trouble('The server showed no certificate.', 'Its log has the cause.')
  const shown = new X509Certificate(raw)
  const remedy = running.reach.authority === null ? renewal : 'Restart the server, which makes a new one.'
  return validity(shown, domain, remedy)
}

function validity(shown: X509Certificate, domain: string, remedy: string): Finding {
  const leftMs = Date.parse(shown.validTo) - Date.now()
  const detail = `for *.${domain}, valid until ${shown.validTo}`
  if (leftMs <= 0 || shown.checkHost(`api.${domain}`) === undefined) throw new Trouble(detail, remedy)
  return leftMs < expiresSoonMs ? { detail, state: 'warn', remedy } : { detail }
}

/** Node's own programs are asked, as most of E2B's are: `NODE_EXTRA_CA_CERTS` and what Node comes with. */
async function trust(domain: string, running: Running): Promise<Finding> {
  const { error } = await handshake(domain, running)
  if (error === undefined) return { detail: 'this shell’s Node.js programs believe the certificate' }
  const file = running.reach.authority?.file
  const remedy =
    file === undefined
      ? 'Let --tls-cert have the certificates between it and its authority too, or use one of a known authority.'
      : `Run eval "$(npx e2b-server env)" in this shell; "npx e2b-server domain on" tells this machine's store; browsers have to be told of ${file}.`
  return { detail: `this shell's Node.js programs refuse the certificate (${error}).`, state: 'warn', remedy }
}

async function handshake(domain: string, { url, reach }: Running): Promise<{ raw?: Buffer; error?: string }> {
  const host = reach.host === '0.0.0.0' ? '127.0.0.1' : reach.host === '::' ? '::1' : reach.host
  const port = Number(new URL(url).port || reach.port)
  const signal = AbortSignal.timeout(lookTimeoutMs)
  const socket = connect({
    socket: await connectSocket({ host, port }, signal),
    servername: `api.${domain}`,
    rejectUnauthorized: false,
  })
  try {
    await once(socket, 'secureConnect', { signal })
    const { raw } = socket.getPeerCertificate()
    return { raw, ...(socket.authorized ? {} : { error: String(socket.authorizationError) }) }
  } finally {
    socket.destroy()
  }
}
