/**
 * Deliveries over HTTP. Owners of webhooks name the addresses and this server makes the requests, so what only it can
 * reach is refused: link-local addresses, among them the metadata services of clouds. The address that was looked at
 * is the one that is connected to, whatever the name means a moment later. Redirects aren't followed.
 */
import { type LookupAddress, lookup } from 'node:dns'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import type { Delivery } from '../domain/webhook.ts'

/** What is read of an answer, in bytes. */
const answerMaxBytes = 64 * 1024

const refused = new BlockList()
refused.addSubnet('169.254.0.0', 16, 'ipv4')
refused.addSubnet('fe80::', 10, 'ipv6')
refused.addSubnet('0.0.0.0', 8, 'ipv4')
refused.addSubnet('fd00:ec2::', 32, 'ipv6')

/** Resolves when the receiver answers 2xx; else rejects with what it did, for its owner. */
export function sendDelivery({ url, headers, body }: Delivery, signal: AbortSignal): Promise<void> {
  const target = new URL(url)
  const host = target.hostname.replace(/^\[|\]$/g, '')
  const bytes = Buffer.from(body)
  return new Promise((resolve, reject) => {
    if (isIP(host) !== 0 && isRefused(host)) return reject(new Error(refusalOf(host)))
    const open = target.protocol === 'https:' ? httpsRequest : httpRequest
    const sent: ClientRequest = open(target, {
      method: 'POST',
      headers: { ...headers, 'content-length': bytes.length },
      lookup: checkedLookup,
      agent: false,
      signal,
    })
    sent.once('error', (error) =>
      reject(new Error(signal.aborted ? 'It took too long to answer.' : error.message)),
    )
    sent.once('response', (answer: IncomingMessage) => {
      const status = answer.statusCode ?? 0
      let read = 0
      answer.on('data', (chunk: Buffer) => {
        read += chunk.length
        if (read > answerMaxBytes) answer.destroy()
      })
      answer.once('error', () => {})
      answer.once('close', () => {
        if (status >= 200 && status < 300) resolve()
        else reject(new Error(`It answered ${status}.`))
      })
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
  return `${address} is a link-local address, which webhooks can't be sent to.`
}
