import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Ends a client's connection abruptly, with a TCP reset where the transport has one: clients tell a killed sandbox
 * by that, and a clean end would look like a whole answer (e2b-wire 3.9).
 */
export function cut(socket: Duplex): void {
  try {
    if (socket instanceof Socket && !socket.destroyed) socket.resetAndDestroy()
  } catch {
    // TLS and unix sockets have no reset.
  }
  socket.destroy()
}
