import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'

/** An account of a sandbox. */
export interface Account {
  user: string
  uid: number
  gid: number
  home: string
  /** Whether it was made just now */
  created: boolean
}

/** The highest id that Linux has */
const maxId = 0xffff_fffe

/**
 * Makes an account unless there is one of that name: with a group and a home of its own, no password, and with `sudo` the
 * right to use sudo without one. Errors: `invalid_argument` (a name that can't be an account's), `failed_precondition` (no
 * id is left; an agent without a sandbox of its own), `resource_exhausted` (`ENOSPC`), `unavailable`, `canceled`.
 */
export function ensureUser(
  guest: Guest,
  request: { name: string; sudo?: boolean },
  signal: AbortSignal,
): Promise<Account> {
  return callUnary(guest, { ...request, op: 'ensure-user' }, { signal }, (reply) => ({
    user: reply.string('user'),
    uid: reply.integer('uid', 0, maxId),
    gid: reply.integer('gid', 0, maxId),
    home: reply.string('home'),
    created: reply.boolean('created'),
  }))
}
