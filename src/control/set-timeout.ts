import { clampEnd } from './check-lifetime.ts'
import { extend } from './connect-sandbox.ts'
import type { ControlContext } from './context.ts'
import { requireRunning, type SandboxRef } from './find-sandbox.ts'
import { eventOf } from './lifecycle.ts'

/**
 * Moves the deadline to `timeoutS` seconds from now, later or earlier, but no later than the team's sandboxes may live;
 * 0 or less ends it now. Errors: `not_found`.
 */
export async function setSandboxTimeout(
  ctx: ControlContext,
  ref: SandboxRef,
  timeoutS: number,
): Promise<void> {
  await ctx.lifecycle.exclusive(ref.id, async (row) => {
    const sandbox = requireRunning(row, ref)
    const limits = await ctx.admission.limitsOf(ref.teamId)
    const now = ctx.clock.now()
    const endAt = clampEnd(limits, sandbox.startedAt, now + Math.max(0, timeoutS) * 1000)
    const detail = { set_timeout: new Date(endAt).toISOString() }
    const told = eventOf(sandbox, { type: 'updated', reason: 'timeout', detail }, now)
    await ctx.store.sandboxes.update(ref.id, { endAt }, told)
  })
}

/** Moves the deadline to at least `seconds` from now, never earlier. Errors: `not_found`. */
export async function refreshSandbox(ctx: ControlContext, ref: SandboxRef, seconds: number): Promise<void> {
  await ctx.lifecycle.exclusive(ref.id, async (row) => {
    await extend(ctx, requireRunning(row, ref), seconds)
  })
}
