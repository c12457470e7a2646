import type { Duplex } from 'node:stream'
import type { ByteAccount } from '../lib/byte-budget.ts'

/**
 * Whatever opens byte streams to one sandbox's agent (spec/guest.md). A transport that needs the agent's secret has
 * sent it by the time `connect` resolves, and leaves half-open streams open, so that `dial` keeps half-closes.
 */
export interface Guest {
  /** A new stream, for one operation. Errors: `unavailable` when nothing answers there. */
  connect(signal: AbortSignal): Promise<Duplex>
  /** Where the memory is counted that one operation's answer takes; absent: nowhere */
  openAccount?(): ByteAccount
}
