/** An edge on a real listener, with sandboxes whose ports are local ones. For tests. */
import type { EventEmitter } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net'
import { Duplex, type Readable } from 'node:stream'
import { ServerError } from '../domain/error.ts'
import { type Ingress, type LiveSandbox, openIngress } from '../domain/live-sandbox.ts'
import { silentLog } from '../lib/log.ts'
import { createEdge, type EdgeOptions } from './edge.ts'
import { listenFor } from './listeners.ts'
import { routeOfRequest } from './route.ts'
import { createTrafficServer } from './traffic-server.ts'

export interface TestSandbox extends LiveSandbox {
  /** Streams that were dialed and are not closed yet */
  readonly dialed: Set<Duplex>
  dialCount: number
  /** Stops taking traffic, in the order that the contract asks for */
  go(): void
}

export interface EdgeFixture extends AsyncDisposable {
  readonly port: number
  /** The sandbox that is there from the start, by the id `isandbox` */
  readonly sandbox: TestSandbox
  addSandbox(id: string, envd?: LiveSandbox['envd'], ingress?: Partial<Ingress>): TestSandbox
  /** A server "inside": serves until the fixture ends. The result is its port. */
  serve(handler: (req: IncomingMessage, res: ServerResponse) => void): Promise<number>
  /** One that takes upgrades. */
  serveUpgrades(handler: (req: IncomingMessage, socket: Duplex, head: Buffer) => void): Promise<number>
  /** A bare TCP server "inside". */
  serveRaw(handler: (socket: Socket) => void): Promise<number>
  /** Sends a request to a port of `isandbox`, by headers. */
  send(port: number, options?: SendOptions): Promise<Received>
  /** Options of `http.request` for a port of a sandbox. */
  to(port: number, options?: RequestOptions & { id?: string }): RequestOptions
  /** A bare connection to the edge. */
  connect(): Socket
}

export interface SendOptions extends RequestOptions {
  id?: string
  body?: string | Buffer
}

export interface Received {
  status: number
  headers: IncomingMessage['headers']
  rawHeaders: string[]
  body: string
}

/** What `dial` gives: a TCP socket, or a stream that is none, as most runtimes have it. */
export type StreamKind = 'socket' | 'stream'

export async function startEdge(
  kind: StreamKind = 'stream',
  options: Pick<EdgeOptions, 'wake' | 'limits'> = {},
): Promise<EdgeFixture> {
  const sandboxes = new Map<string, TestSandbox>()
  const servers: (Server | TcpServer)[] = []
  const sockets = new Set<Socket>()
  const agent = new Agent({ keepAlive: true })
  const edge = createEdge({ directory: { find: (id) => sandboxes.get(id) }, log: silentLog, ...options })
  const server = createTrafficServer()
  listenFor(server, {
    edge,
    routeOf: (req) => routeOfRequest(req),
    api: (req, res) => {
      req.pipe(res.writeHead(200, { 'x-served-by': 'api' }))
    },
  })

  const listen = async (added: Server | TcpServer) => {
    servers.push(added)
    added.on('connection', (socket: Socket) => sockets.add(socket))
    await new Promise<void>((resolve) => added.listen(0, '127.0.0.1', resolve))
    return (added.address() as AddressInfo).port
  }
  const edgePort = await listen(server)

  const addSandbox: EdgeFixture['addSandbox'] = (id, envd = (_req, res) => res.end('envd'), ingress = {}) => {
    const sandbox = createSandbox({ kind, id, envd, ingress, forget: () => sandboxes.delete(id) })
    sandboxes.set(id, sandbox)
    return sandbox
  }
  const to: EdgeFixture['to'] = (port, { id = 'isandbox', headers, ...options } = {}) => ({
    host: '127.0.0.1',
    port: edgePort,
    agent,
    headers: { 'E2b-Sandbox-Id': id, 'E2b-Sandbox-Port': String(port), ...(headers as object) },
    ...options,
  })

  return {
    port: edgePort,
    sandbox: addSandbox('isandbox'),
    addSandbox,
    serve: (handler) => listen(createServer(handler)),
    serveUpgrades: (handler) => listen(createServer().on('upgrade', handler)),
    serveRaw: (handler) => listen(createTcpServer({ allowHalfOpen: true }, handler)),
    to,
    send: (port, { body, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const sent = request(to(port, options), (res) => readAll(res).then(resolve, reject))
        sent.on('error', reject)
        sent.end(body)
      }),
    connect: () => {
      const socket = connect({ port: edgePort, host: '127.0.0.1', allowHalfOpen: true })
      sockets.add(socket)
      socket.on('error', () => {})
      return socket
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
      for (const sandbox of sandboxes.values()) sandbox.go()
      for (const socket of sockets) socket.destroy()
      await Promise.all(servers.map((each) => new Promise((resolve) => each.close(resolve))))
    },
  }
}

type Answered = Readable &
  Pick<IncomingMessage, 'headers' | 'rawHeaders'> & { statusCode?: number | undefined }

/** The whole of an answer, or of a request. */
export async function readAll(res: Answered): Promise<Received> {
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk)
  const body = Buffer.concat(chunks).toString()
  return { status: res.statusCode ?? 0, headers: res.headers, rawHeaders: res.rawHeaders, body }
}

/** Waits until a connection has brought text that matches; the result is all it has brought so far. */
export function readUntil(socket: Readable, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (!pattern.test(text)) return
      socket.off('data', onData)
      socket.off('close', onClose)
      resolve(text)
    }
    const onClose = () => reject(new Error(`The connection closed after ${JSON.stringify(text)}`))
    socket.on('data', onData)
    socket.once('close', onClose)
  })
}

/** Waits until something has closed, in whatever way. */
export function closed(emitter: EventEmitter): Promise<void> {
  return new Promise((resolve) => {
    emitter.on('error', () => {})
    emitter.once('close', () => resolve())
  })
}

function createSandbox({
  kind,
  id,
  envd,
  ingress,
  forget,
}: {
  kind: StreamKind
  id: string
  envd: LiveSandbox['envd']
  ingress: Partial<Ingress>
  forget: () => void
}): TestSandbox {
  const gone = new AbortController()
  const dialed = new Set<Duplex>()
  const sandbox: TestSandbox = {
    id,
    accessToken: null,
    ingress: { ...openIngress, ...ingress },
    gone: gone.signal,
    envd,
    dialed,
    dialCount: 0,
    async dial(port) {
      sandbox.dialCount++
      const stream = await dialLocal(port, kind)
      dialed.add(stream)
      stream.once('close', () => dialed.delete(stream))
      return stream
    },
    go() {
      forget()
      gone.abort()
    },
  }
  return sandbox
}

function dialLocal(port: number, kind: StreamKind): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.once('error', (error: NodeJS.ErrnoException) =>
      reject(new ServerError('unavailable', 'Nobody listens there.', { errno: error.code, cause: error })),
    )
    socket.once('connect', () => resolve(kind === 'socket' ? socket : asPlainStream(socket)))
  })
}

function asPlainStream(socket: Socket): Duplex {
  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => socket.resume(),
    write: (chunk, _encoding, callback) => void socket.write(chunk, callback),
    final: (callback) => void socket.end(callback),
    destroy: (error, callback) => {
      socket.destroy()
      callback(error)
    },
  })
  socket.on('data', (chunk) => {
    if (!stream.push(chunk)) socket.pause()
  })
  socket.on('end', () => stream.push(null))
  socket.on('error', (error) => stream.destroy(error))
  socket.on('close', () => stream.destroy())
  return stream
}
