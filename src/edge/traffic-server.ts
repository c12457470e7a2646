/**
 * A server for HTTP/1.1 and for HTTP/2 on the same port: with TLS, where ALPN says which, or without ("h2c", by prior
 * knowledge). Each request of
 * either is an event of it as of any `http.Server`; those of HTTP/2 have the types of Node's compatibility API, of
 * which `domain/http.ts` names what both have. It has none of the limits that would cut long streams and large uploads.
 */
import { maxHeaderSize, Server, type ServerResponse } from 'node:http'
import {
  createServer as createHttp2Server,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from 'node:tls'
import type { Credentials } from '../domain/credentials.ts'
import { type Log, silentLog } from '../lib/log.ts'
import { type Answer, routeError, sendRaw } from './answer.ts'
import { detectHttp2 } from './detect-http2.ts'
import { BreakableRequest, BreakableResponse } from './http2-messages.ts'
import { defaultLinger, type LingerTimes, lingerOnStream, responseClass } from './unread-body.ts'

export interface TrafficServerOptions {
  /** Speak TLS, and nothing else, with this certificate; absent: no TLS */
  credentials?: Credentials | undefined
  /** How long a client's connection without a request is kept, in milliseconds */
  idleTimeoutMs?: number
  /** Time for the head of a request, and on a new connection for its first bytes, in milliseconds */
  headersTimeoutMs?: number
  /** How often open connections are looked at for that, in milliseconds */
  checkIntervalMs?: number
  /** Where it is said that clients speak TLS to a port without */
  log?: Log | undefined
  /** How long what nobody wants is still read behind an answer */
  linger?: LingerTimes
  /** How many connections of clients there may be; near it, idle ones are closed to make room */
  maxClients?: number | undefined
}

export interface TrafficServer extends Server {
  /** New connections get this certificate. Only for a server that speaks TLS. */
  setCredentials(credentials: Credentials): void
}

/** What a server emits for a WebSocket of HTTP/2 (RFC 8441), with its `Http2ServerRequest`. */
export const webSocketEvent = 'webSocket'

/** Longer than any keepalive interval of the SDKs (e2b-wire 1.8). */
const defaultIdleTimeoutMs = 620_000

/** Requests at once on one HTTP/2 connection: SDKs share one for all their long streams. */
const maxStreams = 4096
/** What a client may send of one body, and of all bodies of a connection, before it is read, in bytes. */
const streamWindowBytes = 256 * 1024
const connectionWindowBytes = 4 * 1024 * 1024

const notATunnel = routeError(405, 'There is no CONNECT here: send the request itself.')
const tooLarge = `The request line and headers are longer than ${maxHeaderSize / 1024} KiB.`

/** What one HTTP/2 connection may hold before new requests on it are refused, in MB. Thousands of streams take tens. */
const sessionMaxMb = 128

/** What a client that speaks TLS to a port without is logged as, and how often at most, in milliseconds. */
const strayTls =
  'a program speaks TLS to this port, which takes none: set its E2B_API_URL and E2B_SANDBOX_URL to http://…, or start with --domain and --tls'
const strayTlsPauseMs = 60_000

/** The part of all connections from which on idle ones go, and the least time between two such rounds. */
const makeRoomAt = 7 / 8
const makeRoomPauseMs = 100

export function createTrafficServer(options: TrafficServerOptions = {}): TrafficServer {
  return new DetectingServer(options)
}

/** A class, because whoever closes an `http.Server` by its methods means the connections of both versions. */
class DetectingServer extends Server implements TrafficServer {
  /** New connections that have not said yet what they speak */
  readonly #undecided = new Set<Socket>()
  /** What carries encrypted connections, by the client's address: Node doesn't say which of them carries which */
  readonly #carriers = new Map<string, Socket>()
  /** All connections, each once, with TLS and behind an upgrade too */
  readonly #open = new Set<Socket>()
  readonly #maxClients: number
  readonly #log: Log
  #roomMadeAt = Number.NEGATIVE_INFINITY
  #strayTlsAt = Number.NEGATIVE_INFINITY
  /** HTTP/2 connections, each with the number of its open requests */
  readonly #sessions = new Map<ServerHttp2Session, number>()
  readonly #tls: TlsServer | undefined

  constructor(options: TrafficServerOptions) {
    const {
      credentials,
      idleTimeoutMs = defaultIdleTimeoutMs,
      headersTimeoutMs = 60_000,
      checkIntervalMs = 30_000,
      linger = defaultLinger,
    } = options
    super({
      ServerResponse: responseClass(linger),
      keepAliveTimeout: idleTimeoutMs,
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: checkIntervalMs,
      requestTimeout: 0,
    })
    this.#log = options.log ?? silentLog
    this.#maxClients = options.maxClients ?? Number.POSITIVE_INFINITY
    // Those beyond a number would be left out in silence, and with them what says where a body ends.
    this.maxHeadersCount = 0
    this.on('clientError', refuse)
    this.on('connect', (_req, socket) => sendRaw(socket, notATunnel))
    const http2 = this.#createHttp2(idleTimeoutMs, linger)
    const http1 = this.listeners('connection')
    this.removeAllListeners('connection')
    this.#tls = credentials && this.#createTls(credentials, headersTimeoutMs)
    this.on('connection', (socket: Socket) => {
      if (!this.#admit(socket)) return socket.destroy()
      if (this.#tls !== undefined && !(socket instanceof TLSSocket)) return this.#encrypt(socket, this.#tls)
      const forget = () => this.#undecided.delete(socket)
      const onDetected = (isHttp2: boolean) => {
        forget()
        socket.off('close', forget)
        if (isHttp2) {
          // HTTP/1.1 serves clients that have ended their side; for HTTP/2 that is the end of the connection.
          socket.allowHalfOpen = false
          http2.emit('connection', socket)
          return
        }
        for (const listener of http1) listener.call(this, socket)
        socket.resume()
      }
      this.#undecided.add(socket)
      socket.once('close', forget)
      detectHttp2(socket, { timeoutMs: headersTimeoutMs, onDetected, onTls: () => this.#onStrayTls() })
    })
  }

  setCredentials(credentials: Credentials): void {
    this.#tls?.setSecureContext({ ...credentials, minVersion: 'TLSv1.2' })
  }

  override closeIdleConnections(): void {
    super.closeIdleConnections()
    for (const socket of this.#undecided) socket.destroy()
    for (const session of this.#sessions.keys()) session.close()
  }

  override closeAllConnections(): void {
    super.closeAllConnections()
    for (const socket of this.#open) socket.destroy()
    for (const session of this.#sessions.keys()) session.destroy()
  }

  /** Tells the operator, now and then: the client itself only sees that the handshake fails. */
  #onStrayTls(): void {
    const now = performance.now()
    if (now - this.#strayTlsAt < strayTlsPauseMs) return
    this.#strayTlsAt = now
    this.#log.warn({}, strayTls)
  }

  /** Counts a connection, unless there are as many as there may be. */
  #admit(socket: Socket): boolean {
    // With TLS, and when it is read anew, a connection comes by this event a second time.
    if (socket instanceof TLSSocket || this.#open.has(socket)) return true
    if (this.#open.size >= this.#maxClients * makeRoomAt) this.#makeRoom()
    if (this.#open.size >= this.#maxClients) return false
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    return true
  }

  /** Closes what waits for a next request, and of those that have never said anything the older half. */
  #makeRoom(): void {
    const now = performance.now()
    if (now - this.#roomMadeAt < makeRoomPauseMs) return
    this.#roomMadeAt = now
    super.closeIdleConnections()
    for (const [session, open] of this.#sessions) if (open === 0) session.destroy()
    const silent = [...this.#undecided]
    for (const socket of silent.slice(0, silent.length / 2)) socket.destroy()
  }

  /** An encrypted connection comes by the event `connection` once more. */
  #createTls(credentials: Credentials, handshakeTimeoutMs: number): TlsServer {
    const server = createTlsServer({
      ...credentials,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: handshakeTimeoutMs,
    })
    server.on('secureConnection', (socket) => {
      const carrier = this.#carriers.get(addressOf(socket))
      if (carrier !== undefined) this.#undecided.delete(carrier)
      this.emit('connection', socket)
    })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    return server
  }

  #encrypt(socket: Socket, tls: TlsServer): void {
    const address = addressOf(socket)
    this.#undecided.add(socket)
    this.#carriers.set(address, socket)
    socket.once('close', () => {
      this.#undecided.delete(socket)
      this.#carriers.delete(address)
    })
    tls.emit('connection', socket)
  }

  #createHttp2(idleTimeoutMs: number, linger: LingerTimes): Http2Server {
    const server = createHttp2Server({
      maxSessionMemory: sessionMaxMb,
      Http2ServerRequest: BreakableRequest,
      Http2ServerResponse: BreakableResponse,
      settings: {
        maxConcurrentStreams: maxStreams,
        initialWindowSize: streamWindowBytes,
        enableConnectProtocol: true,
      },
    })
    server.setTimeout(idleTimeoutMs)
    server.on('timeout', (session: ServerHttp2Session) => {
      // A stream may be silent for longer: it is bounded by its sandbox's life.
      if (this.#sessions.get(session) === 0) session.close()
    })
    server.on('session', (session) => {
      this.#sessions.set(session, 0)
      session.once('close', () => this.#sessions.delete(session))
      session.on('stream', (stream) => {
        this.#count(session, 1)
        stream.once('close', () => this.#count(session, -1))
      })
      session.setLocalWindowSize(connectionWindowBytes)
    })
    const pass = (event: 'request' | 'checkContinue') =>
      server.on(event, (req: Http2ServerRequest, res: Http2ServerResponse) => {
        // Where both are there, `Host` counts for nothing (RFC 9113 8.3.1).
        if (req.authority !== '') req.headers.host = req.authority
        lingerOnStream(req, linger)
        this.emit(event, req, res)
      })
    pass('request')
    pass('checkContinue')
    server.on('connect', (req: Http2ServerRequest, res: Http2ServerResponse) => {
      const isWebSocket = req.headers[':protocol'] === 'websocket'
      if (isWebSocket && req.authority !== '') req.headers.host = req.authority
      if (isWebSocket && this.emit(webSocketEvent, req)) return
      res.writeHead(isWebSocket ? 501 : 405).end()
    })
    return server
  }

  #count(session: ServerHttp2Session, change: 1 | -1): void {
    const open = this.#sessions.get(session)
    if (open !== undefined) this.#sessions.set(session, open + change)
  }
}

function addressOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

/** Answers what isn't HTTP, too much of it, or comes too slowly, unless that would go into the middle of an answer. */
function refuse(error: Error & { code?: string }, socket: Duplex & { _httpMessage?: ServerResponse }): void {
  if (!socket.writable || socket._httpMessage?.headersSent) socket.destroy()
  else sendRaw(socket, refusalOf(error.code))
}

function refusalOf(code: string | undefined): Answer {
  if (code === 'HPE_HEADER_OVERFLOW') return routeError(431, tooLarge)
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return routeError(408, 'The head of the request took too long.')
  return routeError(400, 'This is not a valid HTTP/1.1 request.')
}
