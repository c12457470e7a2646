/**
 * A small DNS responder, by UDP and TCP on one address: the server's own domain is answered here, everything else
 * passed on.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'
import type { Log } from '../lib/log.ts'
import { answerQuery, queryMaxBytes } from './answer-query.ts'
import { createForwarder, type Via } from './forwarder.ts'
import { createFrames, frame } from './frames.ts'
import { type ResolverAddress, systemResolvers } from './resolvers.ts'
import type { Zone } from './zone.ts'

/** Queries by UDP that are being answered at once; more are dropped, as clients ask again. */
const maxUdpQueries = 512
/** Connections at once, queries on one that are being answered, and how long an idle one is kept, in milliseconds. */
const maxConnections = 64
const connectionMaxQueries = 16
const idleTimeoutMs = 10_000

export interface DnsOptions {
  /** Where to listen; port 0: any */
  listen: ResolverAddress
  zone: Zone
  log: Log
  /** Whom to ask about other domains; by default those of the system */
  resolvers?: () => ResolverAddress[]
}

export interface DnsResponder {
  readonly address: ResolverAddress
  close(): void
}

/** Errors: those of listening, such as `EADDRINUSE`. */
export async function startDns({ listen, zone, log, resolvers }: DnsOptions): Promise<DnsResponder> {
  const udp = createSocket(isIPv6(listen.address) ? 'udp6' : 'udp4')
  const tcp = createServer({ allowHalfOpen: true })
  const connections = new Set<Socket>()
  const close = () => {
    udp.close()
    tcp.close()
    for (const socket of connections) socket.destroy()
  }
  tcp.listen(listen.port, listen.address)
  await once(tcp, 'listening')
  const address = { address: listen.address, port: (tcp.address() as AddressInfo).port }
  try {
    udp.bind(address.port, address.address)
    await once(udp, 'listening')
  } catch (error) {
    tcp.close()
    throw error
  }
  const forwarder = createForwarder(resolvers ?? systemResolvers(address, zone.domain))
  const answer = (query: Buffer, via: Via) => answerQuery(query, via, { zone, forwarder })
  const report = (error: Error) => log.warn({ err: error }, 'the DNS responder could not send or receive')
  serveUdp(udp, answer)
  udp.on('error', report)
  serveTcp(tcp, answer, connections)
  tcp.on('error', report)
  return { address, close }
}

type AnswerTo = (query: Buffer, via: Via) => Promise<Buffer | undefined>

function serveUdp(udp: UdpSocket, answer: AnswerTo): void {
  let underWay = 0
  let isClosed = false
  udp.once('close', () => {
    isClosed = true
  })
  udp.on('message', (query, { address, port }) => {
    // From port 0 nobody can be waiting.
    if (underWay >= maxUdpQueries || port === 0) return
    underWay++
    void answer(query, 'udp').then((response) => {
      underWay--
      if (response !== undefined && !isClosed) udp.send(response, port, address, () => {})
    })
  })
}

function serveTcp(tcp: Server, answer: AnswerTo, connections: Set<Socket>): void {
  tcp.on('connection', (socket) => {
    if (connections.size >= maxConnections) return socket.destroy()
    connections.add(socket)
    let underWay = 0
    let isEnded = false
    const finish = () => {
      if (isEnded && underWay === 0) socket.end()
    }
    socket.setTimeout(idleTimeoutMs, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => connections.delete(socket))
    socket.on('end', () => {
      isEnded = true
      finish()
    })
    socket.on(
      'data',
      createFrames((query) => {
        if (query.length > queryMaxBytes || underWay >= connectionMaxQueries) return socket.destroy()
        underWay++
        void answer(query, 'tcp').then((response) => {
          underWay--
          if (socket.destroyed) return
          if (response !== undefined) socket.write(frame(response))
          finish()
        })
      }),
    )
  })
}
