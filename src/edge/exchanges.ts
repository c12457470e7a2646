/**
 * Which connections have an exchange in flight with which sandbox, so that exactly those can be cut when it goes. A
 * connection kept alive by a client may speak to many sandboxes in turn and is only ever tied to those it waits for.
 */
import type { Duplex } from 'node:stream'
import type { Answer } from './answer.ts'
import { cut } from './cut.ts'

/** One exchange, of a sandbox with a connection. */
export interface Tie {
  readonly connection: Duplex
  /** The connection has closed before the exchange was ended; ends it. */
  onClosed(): void
  /** Gives that answer, unless one has begun; whether it did. */
  refuse?(answer: Answer): boolean
}

/** The open exchanges of one sandbox. */
export interface Exchanges {
  /** Ties a connection to the sandbox until the end. */
  begin(tie: Tie): void
  /** Idempotent. */
  end(tie: Tie): void
  /** How many are open. */
  count(): number
  /** Ends every open exchange: with that answer where none has begun, else by cutting its connection. */
  endAll(answer: Answer): void
}

/** Tells when connections close, with one event listener on each, however many requests that sees in its life. */
export interface CloseWatch {
  add(tie: Tie): void
  delete(tie: Tie): void
}

export function createCloseWatch(): CloseWatch {
  const byConnection = new WeakMap<Duplex, Set<Tie>>()
  return {
    add(tie) {
      const { connection } = tie
      const known = byConnection.get(connection)
      if (known !== undefined) {
        known.add(tie)
        return
      }
      const ties = new Set([tie])
      byConnection.set(connection, ties)
      connection.once('close', () => {
        for (const each of ties) each.onClosed()
        ties.clear()
      })
    },
    delete(tie) {
      byConnection.get(tie.connection)?.delete(tie)
    },
  }
}

/** How many exchanges are open of all that were given it. */
export interface ExchangeCount {
  open: number
}

export function createExchanges(watch: CloseWatch, all: ExchangeCount = { open: 0 }): Exchanges {
  const open = new Set<Tie>()
  return {
    begin(tie) {
      open.add(tie)
      all.open++
      watch.add(tie)
    },
    end(tie) {
      if (open.delete(tie)) all.open--
      watch.delete(tie)
    },
    count: () => open.size,
    endAll(answer) {
      for (const tie of [...open]) if (!tie.refuse?.(answer)) cut(tie.connection)
    },
  }
}
