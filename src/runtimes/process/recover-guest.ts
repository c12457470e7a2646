import { toError } from '../../domain/error.ts'
import type { GuestCondition } from '../../domain/runtime.ts'
import { isDeserted } from '../../lib/is-deserted.ts'
import { lookForGuest } from './find-guest.ts'
import type { ProcessGuest } from './handle.ts'
import type { ProcessParts } from './parts.ts'

/** As `Runtime.recover`; `answers` rejects when the agent doesn't accept a connection. */
export async function recoverGuest(
  { dirs, guests, copied, log }: ProcessParts,
  { sandboxId, pid, startTicks }: ProcessGuest,
  { answers, signal }: { answers: () => Promise<void>; signal: AbortSignal },
): Promise<GuestCondition> {
  const wasCopied = copied.has(sandboxId)
  const found = await lookForGuest(dirs, sandboxId)
  if (found === undefined) return 'gone'
  const { condition, record } = found
  // A boot that the handle's holder has not learned of is for `resume` to tell.
  const isKnown = record.pid === pid && record.startTicks === startTicks
  if (condition === 'stopped' || !isKnown) return 'stopped'
  if (condition === 'alive') {
    try {
      await answers()
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ err: error, sandboxId }, 'an agent lives, but does not answer')
      return isDeserted(toError(error)) ? 'cut-off' : 'unreachable'
    }
  }
  guests.add(sandboxId, record)
  return condition === 'alive' || wasCopied || copied.has(sandboxId) ? 'running' : 'paused'
}
