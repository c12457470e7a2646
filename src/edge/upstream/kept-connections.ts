/**
 * Connections into one sandbox that are kept for the next request. Only requests that can be sent a second time use
 * them, as a server inside may close an idle connection at the very moment it is used again; the API closes none.
 */
import type { Upstream } from './upstream.ts'

/** Idle connections kept per port, and per sandbox. */
const portMax = 64
const sandboxMax = 256
/** With the pause between two sweeps below the 5 s after which common servers close idle connections themselves. */
const maxIdleMs = 4000
const sweepMs = 500

export interface KeptConnections {
  /** The connection to a port that was used last, if there is one. */
  take(port: number): Upstream | undefined
  /** Keeps a connection whose exchange is over, for a while. */
  put(port: number, connection: Upstream): void
  /** Closes all there are, and from now on those that come. */
  close(): void
}

interface Idle {
  connection: Upstream
  sinceMs: number
}

/** How many more idle connections there may be, of all that share it. */
export interface Room {
  left: number
}

export function createKeptConnections(room: Room = { left: Number.POSITIVE_INFINITY }): KeptConnections {
  /** Of each port, from the longest idle to the one used last */
  const byPort = new Map<number, Idle[]>()
  let count = 0
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  const add = (change: number) => {
    count += change
    room.left -= change
  }

  const forget = (port: number, connection: Upstream) => {
    const idle = byPort.get(port)
    const at = idle?.findIndex((each) => each.connection === connection) ?? -1
    if (idle === undefined || at === -1) return
    idle.splice(at, 1)
    add(-1)
  }

  /** One timer for all of them, as connections come and go with every request. */
  const sweep = () => {
    const limitMs = performance.now() - maxIdleMs
    for (const [port, idle] of byPort) {
      while (idle[0] !== undefined && idle[0].sinceMs <= limitMs) {
        idle.shift()?.connection.destroy()
        add(-1)
      }
      if (idle.length === 0) byPort.delete(port)
    }
    timer = byPort.size > 0 ? setTimeout(sweep, sweepMs) : undefined
  }

  return {
    take(port) {
      const last = byPort.get(port)?.pop()
      if (last === undefined) return undefined
      add(-1)
      // The sweep is late where this process stood still, and the others of that port have been idle for longer.
      if (performance.now() - last.sinceMs <= maxIdleMs) return last.connection
      last.connection.destroy()
      return undefined
    },
    put(port, connection) {
      let idle = byPort.get(port)
      if (
        isClosed ||
        count >= sandboxMax ||
        room.left <= 0 ||
        (idle !== undefined && idle.length >= portMax)
      ) {
        return connection.destroy()
      }
      if (idle === undefined) {
        idle = []
        byPort.set(port, idle)
      }
      idle.push({ connection, sinceMs: performance.now() })
      add(1)
      connection.onIdleLoss(() => forget(port, connection))
      timer ??= setTimeout(sweep, sweepMs)
    },
    close() {
      isClosed = true
      clearTimeout(timer)
      for (const idle of byPort.values()) for (const { connection } of idle) connection.destroy()
      byPort.clear()
      add(-count)
    },
  }
}
