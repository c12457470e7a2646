/**
 * Connections into one sandbox that are kept for the next request. Only requests that can be sent a second time
 * use them, as a server inside may close an idle connection at the very moment it is used again.
 */
import { Agent, type ClientRequest, type ClientRequestArgs } from 'node:http'
import type { Duplex } from 'node:stream'

/** Idle connections kept per port. */
const maxIdlePerPort = 16
/** Below the 5 s after which common servers close idle connections themselves. */
const maxIdleMs = 4000

/** Opens a new connection to a port inside. */
export type Connect = (port: number) => Promise<Duplex>

/** An agent over any byte stream, where Node's own expects TCP sockets. `destroy` closes all it has. */
export class ConnectionPool extends Agent {
  readonly #connect: Connect
  readonly #stopIdling = new WeakMap<Duplex, () => void>()

  constructor(connect: Connect) {
    super({ keepAlive: true, maxFreeSockets: maxIdlePerPort })
    this.#connect = connect
  }

  override createConnection(
    options: ClientRequestArgs,
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    giveConnection(this.#connect(Number(options.port)), callback)
  }

  override keepSocketAlive(stream: Duplex): boolean {
    const drop = () => {
      clearTimeout(timer)
      stream.destroy()
    }
    const timer = setTimeout(drop, maxIdleMs)
    // Bytes that nobody asked for must not become the answer to the next request.
    stream.once('data', drop)
    stream.once('end', drop)
    stream.once('close', drop)
    this.#stopIdling.set(stream, () => {
      clearTimeout(timer)
      stream.off('data', drop)
      stream.off('end', drop)
      stream.off('close', drop)
    })
    return true
  }

  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    this.#stopIdling.get(stream)?.()
    // Node's own method is needed for the rest of what it does, and calls what only sockets have.
    if (!('ref' in stream)) Object.assign(stream, { ref: () => stream })
    super.reuseSocket(stream, request)
  }
}

/** Hands a connection, or why there is none, to what `http.request` gave as callback. */
export function giveConnection(
  connection: Promise<Duplex>,
  callback: (error: Error | null, stream: Duplex) => void,
): void {
  // With an error Node doesn't look at the stream; its type asks for one all the same.
  connection.then(
    (stream) => callback(null, stream),
    (error) => callback(error, undefined as unknown as Duplex),
  )
}
