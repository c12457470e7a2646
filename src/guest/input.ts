import { type Call, openCall } from './call.ts'
import { feed, readFields } from './exchange.ts'
import { frameType } from './frames.ts'
import type { Guest } from './guest.ts'
import type { Selector } from './selector.ts'

export interface InputTarget {
  process: Selector
  kind: 'stdin' | 'pty'
}

/**
 * Writes to a process, at the pace it reads, and resolves when it has taken everything. Errors: `not_found` (also of
 * a process that ends meanwhile), `internal` (no open stdin), `unavailable`, `canceled`; what the source throws.
 */
export async function input(
  guest: Guest,
  target: InputTarget,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const call = await openCall(guest, { ...target.process, op: 'input', kind: target.kind }, { signal })
  await feed(call, source, readOutcome(call))
}

async function readOutcome(call: Call): Promise<void> {
  await readFields(call, frameType.reply)
  await readFields(call, frameType.end)
}
