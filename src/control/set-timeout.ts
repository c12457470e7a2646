import { toError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { clampEnd } from './check-lifetime.ts'
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
  signal: AbortSignal,
): Promise<void> {
  const askedAt = ctx.clock.now()
  await whileRunning(
    ctx,
    ref,
    async (row) => {
      const sandbox = requireRunning(row, ref)
      const limits = await ctx.admission.limitsOf(ref.teamId)
      const endAt = clampEnd(limits, sandbox.startedAt, askedAt + Math.max(0, timeoutS) * 1000)
      const detail = { set_timeout: new Date(endAt).toISOString() }
      const event = eventOf(sandbox, { type: 'updated', reason: 'timeout', detail }, ctx.clock.now())
      await ctx.store.sandboxes.update(ref.id, { endAt }, { event, from: sandbox.state })
    },
    signal,
  )
}

/** Moves the deadline to at least `seconds` from now, never earlier. Errors: `not_found`. */
export async function refreshSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  seconds: number,
  signal: AbortSignal,
): Promise<void> {
  const askedAt = ctx.clock.now()
  const refresh = (row: Sandbox | undefined) => extend(ctx, requireRunning(row, ref), { seconds, askedAt })
  await whileRunning(ctx, ref, refresh, signal)
}

/** Moves a deadline later, never earlier, and no later than the team's sandboxes may live. Errors: `conflict`. */
export async function extend(
  ctx: ControlContext,
  sandbox: Sandbox,
  { seconds, askedAt }: { seconds: number; askedAt: number },
): Promise<Sandbox> {
  const limits = await ctx.admission.limitsOf(sandbox.teamId)
  const endAt = clampEnd(limits, sandbox.startedAt, askedAt + seconds * 1000)
  if (endAt <= sandbox.endAt) return sandbox
  await ctx.store.sandboxes.update(sandbox.id, { endAt }, { from: sandbox.state })
  return { ...sandbox, endAt }
}

/**
 * Runs a task that only moves a deadline: in its turn, but for a sandbox that is being copied. Its deadline counts
 * meanwhile, which no copy changes, so whoever moves it doesn't wait for the copy's end.
 */
export async function whileRunning<T>(
  { store, lifecycle }: Pick<ControlContext, 'store' | 'lifecycle'>,
  { id }: SandboxRef,
  task: (row: Sandbox | undefined, ended: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const row = await store.sandboxes.find(id)
  if (row?.state === 'snapshotting') {
    try {
      return await task(row, signal)
    } catch (error) {
      // The copy is over by now, or the sandbox.
      if (toError(error).code !== 'conflict') throw error
    }
  }
  return lifecycle.exclusive(id, task, signal)
}
