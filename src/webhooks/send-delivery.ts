/**
 * Deliveries over HTTP. Owners of webhooks name the addresses and this server makes the requests, so what only it can
 * reach is refused: link-local addresses, among them the metadata services of clouds. The address that was looked at
 * is the one that is connected to, whatever the name means a moment later. Redirects aren't followed.
 */
import { type LookupAddress, lookup } from 'node:dns'
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import type { Delivery } from '../domain/webhook.ts'

/** What is read of an answer, in bytes. */
const answerMaxBytes = 64 * 1024
/**
 * How long a connection waits for the next delivery, in ms: less than the five seconds after which common servers
 * hang up.
 */
const idleMs = 4_000
/** Connections to one receiver that wait. */
const idleMax = 8

const agentOptions = { keepAlive: true, timeout: idleMs, maxFreeSockets: idleMax }
const agents = { 'http:': new HttpAgent(agentOptions), 'https:': new HttpsAgent(agentOptions) }

const refused = new BlockList()
refused.addSubnet('169.254.0.0', 16, 'ipv4')
refused.addSubnet('fe80::', 10, 'ipv6')
refused.addSubnet('0.0.0.0', 8, 'ipv4')
// Metadata services elsewhere: Alibaba, Oracle, Azure; Amazon and Google over IPv6.
for (const address of ['100.100.100.200', '192.0.0.192', '168.63.129.16']) refused.addAddress(address, 'ipv4')
refused.addSubnet('fd00:ec2::', 32, 'ipv6')
refused.addAddress('fd20:ce::254', 'ipv6')
// Link-local IPv4 as translators and tunnels (NAT64, 6to4) and the oldest notation write it.
refused.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6')
refused.addSubnet('2002:a9fe::', 32, 'ipv6')
refused.addSubnet('::a9fe:0', 112, 'ipv6')

/** Resolves when the receiver answers 2xx; else rejects with what it did, for its owner. */
export async function sendDelivery({ url, headers, body }: Delivery, signal: AbortSignal): Promise<void> {
  const target = new URL(url)
  const host = target.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && isRefused(host)) throw new Error(refusalOf(host))
  const bytes = Buffer.from(body)
  const options = {
    method: 'POST',
    headers: { ...headers, 'content-length': bytes.length },
    lookup: checkedLookup,
    signal,
  }
  const status = (await post(target, options, bytes, true)) ?? (await post(target, options, bytes, false))
  if (status === undefined) throw new Error('It closed the connection without an answer.')
  if (status < 200 || status > 299) throw new Error(`It answered ${status}.`)
}

/**
 * The status of the answer, once it is over. Undefined when the connection was one that had waited and ended before
 * there was an answer: the receiver may just have hung up on it, which says nothing about the delivery.
 */
function post(
  target: URL,
  options: RequestOptions & { signal: AbortSignal },
  bytes: Buffer,
  mayReuse: boolean,
): Promise<number | undefined> {
  const isHttps = target.protocol === 'https:'
  const agent = mayReuse ? agents[isHttps ? 'https:' : 'http:'] : false
  return new Promise((resolve, reject) => {
    let isAnswered = false
    const sent = (isHttps ? httpsRequest : httpRequest)(target, { ...options, agent })
    sent.on('error', (error) => {
      if (options.signal.aborted) reject(new Error('It took too long to answer.'))
      else if (sent.reusedSocket && !isAnswered) resolve(undefined)
      else reject(error)
    })
    // An answer that changes the protocol leaves the connection to us, and nothing else would tell of its end.
    sent.on('upgrade', (answer, socket) => {
      socket.destroy()
      resolve(answer.statusCode ?? 0)
    })
    sent.on('close', () => {
      if (!isAnswered) reject(new Error('It closed the connection without an answer.'))
    })
    sent.on('response', (answer: IncomingMessage) => {
      isAnswered = true
      let read = 0
      answer.on('data', (chunk: Buffer) => {
        read += chunk.length
        if (read > answerMaxBytes) answer.destroy()
      })
      answer.on('error', () => {})
      answer.on('close', () => resolve(answer.statusCode ?? 0))
    })
    sent.end(bytes)
  })
}

/** Whether an address is one that this server alone can reach. */
export function isRefused(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return isRefused(mapped)
  const family = isIP(address)
  // What isn't written as an address would be is looked at by the system, so as if it were none.
  return family === 0 || refused.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

const checkedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error) return callback(error, '', 0)
    const bad = addresses.find(({ address }) => isRefused(address))
    const [first] = addresses
    if (bad !== undefined || first === undefined) {
      return callback(new Error(refusalOf(bad?.address ?? hostname)), '', 0)
    }
    if (options.all) return callback(null, addresses)
    callback(null, first.address, first.family)
  })
}

function refusalOf(address: string): string {
  return `${address} is a link-local or metadata address, which webhooks can't be sent to.`
}
