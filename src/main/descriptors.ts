/**
 * How many files and connections one process may have open, and what of that goes to whom. Every bound is of one
 * process; all together they leave an eighth to the database, the engine and whatever a process needs itself.
 */
import { readFileSync } from 'node:fs'

export interface ConnectionBounds {
  /** Connections of clients */
  clients: number
  /** Requests and upgrades of all sandboxes together, each of which may take one connection into its sandbox */
  exchanges: number
  /** The same of one sandbox, where the operator says nothing else */
  sandbox: number
  /** Connections into sandboxes that are kept for the next request */
  kept: number
  /** Requests that are passed on to the API */
  api: number
}

/** Where the system doesn't say: what most systems give at least. */
const unknownLimit = 1024
/** More than any client has, whatever the system gives. */
const sandboxMost = 10_000

/** The limit in force for a process (its soft one, which Node.js raises to the hard one as it starts). */
export function openFilesMax(pid: number | 'self' = 'self'): number {
  try {
    const line = /^Max open files\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))
    return line?.[1] === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(line?.[1] ?? unknownLimit)
  } catch {
    return unknownLimit
  }
}

export function connectionBounds(openFiles: number): ConnectionBounds {
  const share = (part: number) => Math.max(1, Math.floor(openFiles * part))
  const exchanges = share(3 / 8)
  return {
    clients: share(3 / 8),
    exchanges,
    sandbox: Math.max(1, Math.min(sandboxMost, Math.floor(exchanges / 4))),
    kept: share(1 / 32),
    // Each takes two: one to the API as well.
    api: share(1 / 32),
  }
}
