import type { EndPhase } from '../domain/telemetry.ts'
import { abortable } from '../lib/deadline.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'
import { requireOwned, type SandboxRef } from './find-sandbox.ts'
import { measured } from './measured.ts'

/** How long ending a sandbox may take from its turn on, in ms. */
const endTimeoutMs = 30_000

/**
 * Ends a sandbox for good, running or paused. Its end is recorded at once, whatever is under way, which breaks off;
 * what can't be carried out while the signal allows is carried out later. Killing one whose end was recorded but
 * couldn't be carried out tries again. Errors: `not_found`, `unavailable`.
 */
export async function killSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  signal: AbortSignal,
  { reason = 'request', phase: told }: { reason?: 'request' | 'admin' | 'shutdown'; phase?: EndPhase } = {},
): Promise<void> {
  const since = performance.now()
  requireOwned(await ctx.store.sandboxes.find(ref.id), ref)
  const isRecorded = await ctx.lifecycle.preempt(ref.id, 'kill', reason)
  let hasBegun = false
  const ending = ctx.lifecycle.exclusive(
    ref.id,
    async (row) => {
      hasBegun = true
      // What was under way may have ended it as it broke off.
      if (row === undefined && isRecorded) return
      const sandbox = requireOwned(row, ref)
      await measured(ctx, { operation: 'kill', cause: reason, since, phase: told }, (phase) =>
        ctx.lifecycle.end(sandbox, 'kill', reason, patientSignal(endTimeoutMs), phase),
      )
    },
    isRecorded ? undefined : signal,
  )
  try {
    await abortable(ending, signal)
  } catch (error) {
    if (!isRecorded || hasBegun) throw error
    ctx.log.warn(
      { sandboxId: ref.id },
      'a kill is recorded, and carried out when what is under way has broken off',
    )
  }
}
