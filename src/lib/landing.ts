/**
 * Where a socket's bytes land when most of what is read goes straight out again: one buffer, read into again and again. A
 * socket of its own takes 64 KiB of fresh memory with each read, and a relay spends most of its time on that.
 */
import type { NetConnectOpts } from 'node:net'
import type { Duplex } from 'node:stream'

/** As long as most answers are, in bytes */
const firstBytes = 8 * 1024
/** Most of what a longer buffer brings; one that waits for a slow reader holds it, in bytes */
const laterBytes = 128 * 1024

export interface Landing {
  /** What a socket that lands here is made with (`net.connect`). */
  readonly onread: NonNullable<Exclude<NetConnectOpts, string>['onread']>
  /** Calls `wake` whenever there is something to `take` */
  onBytes(wake: () => void): void
  /**
   * What came last, once; null until more has. They are overwritten by the next: asking for these says that the ones
   * before are done with. Nothing is read from the socket between the two.
   */
  take(socket: Duplex): Buffer | null
}

/** One socket's. It grows once a read has filled it. */
export function createLanding(): Landing {
  let buffer = Buffer.allocUnsafe(firstBytes)
  let landed: Buffer | undefined
  let wake: (() => void) | undefined
  return {
    onread: {
      buffer: () => buffer,
      callback(length) {
        landed = buffer.subarray(0, length)
        if (length === firstBytes && buffer.length === firstBytes) buffer = Buffer.allocUnsafeSlow(laterBytes)
        wake?.()
        return false
      },
    },
    onBytes(listener) {
      wake = listener
    },
    take(socket) {
      const taken = landed
      landed = undefined
      if (taken !== undefined) return taken
      socket.resume()
      return null
    },
  }
}
