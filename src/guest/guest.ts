import type { Duplex } from 'node:stream'
import type { ByteAccount } from '../lib/byte-budget.ts'
import type { Landing } from '../lib/landing.ts'

/**
 * Whatever opens byte streams to one sandbox's agent (spec/guest.md). A transport that needs the agent's secret has
 * sent it by the time `connect` resolves, and leaves half-open streams open, so that `dial` keeps half-closes.
 */
export interface Guest {
  /**
   * A new stream, for one operation. Errors: `unavailable` when nothing answers there. A transport that can lets what comes
   * be found at the `landing`, and says so by `lands`; one that can't leaves it alone.
   */
  connect(signal: AbortSignal, landing?: Landing): Promise<Duplex>
  /** Whether `connect` uses its `landing` */
  readonly lands?: boolean
  /** Where the memory is counted that one operation's answer takes; absent: nowhere */
  openAccount?(): ByteAccount
}
