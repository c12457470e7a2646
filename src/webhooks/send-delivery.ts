/**
 * Deliveries over HTTP. Owners of webhooks name the addresses and this server makes the requests, so what isn't on the
 * internet is refused: this machine, private networks and sandboxes, metadata services of clouds; unless the operator has
 * opened a range. The address that was looked at is the one that is connected to, whatever the name means a moment later.
 * Redirects aren't followed.
 */
import { type LookupAddress, lookup } from 'node:dns'
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { SendDelivery } from '../domain/webhook.ts'
import { closedRanges, createRanges } from '../network/ranges.ts'

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

export interface SenderOptions {
  /** Closed ranges that the operator has opened, as CIDR blocks */
  allow: readonly string[]
  /** Ports on which this program listens, wherever: nobody's deliveries go there */
  ownPorts: () => Iterable<number>
}

/**
 * What sends deliveries: resolves when the receiver answers 2xx; else rejects with what it did, for its owner. Of
 * receivers in ranges that the operator has opened it says no more than that, so that it is no scan of inner networks.
 */
export function createSender(options: SenderOptions): SendDelivery {
  const gate = createGate(options)
  return async ({ url, headers, body }, signal) => {
    const target = new URL(url)
    const host = target.hostname.replace(/^\[|\]$/g, '')
    const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80)
    let isInner = false
    const check = (address: string) => {
      if (gate.refuses(address, port)) throw new Error(refusal)
      isInner ||= gate.isInner(address)
    }
    if (isIP(host) !== 0) check(host)
    /** A connection that waited was looked at when it was made. */
    const reused = (address: string) => {
      isInner ||= gate.isInner(address)
    }
    const bytes = Buffer.from(body)
    const sent = {
      method: 'POST',
      headers: { ...headers, 'content-length': bytes.length },
      lookup: checkedLookup(check),
      signal,
    }
    const status = await attempt(target, sent, bytes, reused).catch((error: Error) => {
      throw isInner && error.message !== refusal ? new Error('No connection, or no answer.') : error
    })
    if (status < 200 || status > 299) throw new Error(isInner ? 'No success.' : `It answered ${status}.`)
  }
}

const refusal =
  "It is at an address that webhooks aren't sent to: private, of this machine, or otherwise not on the internet."

/** Which addresses deliveries go to. */
function createGate({ allow, ownPorts }: SenderOptions) {
  const [closed, opened] = [closedRanges(), createRanges(allow)]
  return {
    isInner: (address: string) => closed.has(address),
    // What isn't written as an address would be is looked at by the system, so as if it were none.
    refuses: (address: string, port: number) =>
      isIP(address) === 0 ||
      (closed.has(address) && !opened.has(address)) ||
      ([...ownPorts()].includes(port) && isOfThisMachine(address)),
  }
}

const loopback = createRanges(['0.0.0.0/8', '127.0.0.0/8', '::/128', '::1/128'])

function isOfThisMachine(address: string): boolean {
  if (loopback.has(address)) return true
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  return createRanges(all.map((each) => each.address.replace(/%.*$/, ''))).has(address)
}

async function attempt(
  target: URL,
  options: RequestOptions & { signal: AbortSignal },
  bytes: Buffer,
  reused: (address: string) => void,
): Promise<number> {
  const status =
    (await post(target, options, bytes, reused)) ?? (await post(target, options, bytes, undefined))
  if (status !== undefined) return status
  throw new Error('It closed the connection without an answer.')
}

/**
 * The status of the answer, once it is over. `reused`: told who is at the other end of a connection that waited; absent:
 * on a new one. Undefined when the connection was one that had waited and ended before
 * there was an answer: the receiver may just have hung up on it, which says nothing about the delivery.
 */
function post(
  target: URL,
  options: RequestOptions & { signal: AbortSignal },
  bytes: Buffer,
  reused: ((address: string) => void) | undefined,
): Promise<number | undefined> {
  const isHttps = target.protocol === 'https:'
  const agent = reused ? agents[isHttps ? 'https:' : 'http:'] : false
  return new Promise((resolve, reject) => {
    let isAnswered = false
    const sent = (isHttps ? httpsRequest : httpRequest)(target, { ...options, agent })
    sent.on('socket', ({ remoteAddress }) => {
      if (sent.reusedSocket && remoteAddress !== undefined) reused?.(remoteAddress)
    })
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

/** The system's look-up, of whose answers each has to pass: a name with one bad address isn't sent to at all. */
function checkedLookup(check: (address: string) => void): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, '', 0)
      try {
        for (const { address } of addresses) check(address)
      } catch (refused) {
        return callback(refused as Error, '', 0)
      }
      if (options.all) return callback(null, addresses)
      const [first] = addresses
      callback(null, first?.address ?? '', first?.family)
    })
  }
}
