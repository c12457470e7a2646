import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'

/** Who an agent says it is. */
export interface Greeting {
  protocol: number
  version: string
  /** New at each start of the agent */
  boot: string
  configured: boolean
  /** How many processes run */
  processes: number
}

/** Asks an agent who it is. Errors: `unavailable`, `internal`, `canceled`. */
export function hello(guest: Guest, signal: AbortSignal): Promise<Greeting> {
  return callUnary(guest, { op: 'hello' }, { signal }, (reply) => ({
    protocol: reply.integer('protocol', 1, 0xffff),
    version: reply.string('version'),
    boot: reply.string('boot'),
    configured: reply.boolean('configured'),
    processes: reply.integer('processes', 0, 0xffff_ffff),
  }))
}
