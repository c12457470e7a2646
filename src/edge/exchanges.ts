/**
 * Which connections have an exchange in flight with which sandbox, so that exactly those can be cut when it goes. A
 * connection kept alive by a client may speak to many sandboxes in turn and is only ever tied to those it waits for.
 */
import type { Duplex } from 'node:stream'
import { cut } from './cut.ts'

/** The open exchanges of one sandbox. */
export interface Exchanges {
  /**
   * Ties `socket` to the sandbox until the returned function is called. `onAbandoned` is called instead of that,
   * once, when the connection closes first.
   */
  begin(socket: Duplex, onAbandoned: () => void): () => void
  /** How many are open. */
  count(): number
  /** Cuts every connection with an open exchange. */
  cutAll(): void
}

/** Calls a listener when a connection closes; the result takes it back. */
export type CloseWatch = (socket: Duplex, listener: () => void) => () => void

/** A watch with one event listener per connection, however many requests that sees in its life. */
export function createCloseWatch(): CloseWatch {
  const bySocket = new WeakMap<Duplex, Set<() => void>>()
  return (socket, listener) => {
    let listeners = bySocket.get(socket)
    if (!listeners) {
      const added = new Set<() => void>()
      bySocket.set(socket, added)
      socket.once('close', () => {
        for (const closed of added) closed()
        added.clear()
      })
      listeners = added
    }
    const registered = listeners.add(listener)
    return () => registered.delete(listener)
  }
}

export function createExchanges(onClose: CloseWatch): Exchanges {
  const open = new Set<{ socket: Duplex }>()
  return {
    begin(socket, onAbandoned) {
      const exchange = { socket }
      open.add(exchange)
      const forget = onClose(socket, () => {
        open.delete(exchange)
        onAbandoned()
      })
      return () => {
        open.delete(exchange)
        forget()
      }
    },

    count: () => open.size,

    cutAll() {
      for (const { socket } of [...open]) cut(socket)
    },
  }
}
