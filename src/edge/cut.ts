import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Ends a client's connection abruptly, with a TCP reset where the transport has one, and an HTTP/2 stream with
 * RST_STREAM: clients tell a killed sandbox by that, and a clean end would look like a whole answer (e2b-wire 3.9).
 */
export function cut(connection: Duplex): void {
  if (connection.destroyed) return
  if (!(connection instanceof Socket)) {
    // With an error an HTTP/2 stream is reset with INTERNAL_ERROR; without one it would end as if nothing were amiss.
    connection.once('error', () => {})
    connection.destroy(new Error('The connection was cut.'))
    return
  }
  try {
    connection.resetAndDestroy()
  } catch {
    // TLS and unix sockets have no reset.
    connection.destroy()
  }
}
