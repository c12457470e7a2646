import type { Sandbox } from '../domain/sandbox.ts'
import type { EndPhase } from '../domain/telemetry.ts'
import type { ControlContext } from './context.ts'
import type { Ending } from './endings.ts'
import { requireOwned, type SandboxRef, sandboxNotFound } from './find-sandbox.ts'
import { measured } from './measured.ts'

/**
 * Ends a sandbox for good, running or paused. Resolves when its end is recorded and no traffic reaches it, whatever is under
 * way, which breaks off; what is left to do is done behind that (`Endings`). The signal counts until the end is recorded.
 * Errors: `not_found`, also of one whose end is recorded already.
 */
export async function killSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  signal: AbortSignal,
  { reason = 'request', phase }: { reason?: 'request' | 'admin' | 'shutdown'; phase?: EndPhase } = {},
): Promise<void> {
  const since = performance.now()
  requireUnended(await ctx.store.sandboxes.find(ref.id), ref)
  const ending = { event: 'kill', reason, cause: reason, since, phase, signal } as const
  if (await preempt(ctx, ref.id, ending)) return
  await ctx.lifecycle.exclusive(ref.id, (row) => ctx.endings.end(requireUnended(row, ref), ending), signal)
}

/**
 * Records the end of a sandbox that something is under way with, which breaks off, and has the rest done after that. False
 * where it isn't, as `Lifecycle.preempt` says.
 */
export async function preempt(
  ctx: ControlContext,
  id: string,
  { event, reason, cause, since, phase }: Ending & { event: 'kill' | 'expire' },
): Promise<boolean> {
  if (ctx.lifecycle.waiting(id) === 0) return false
  const told = { operation: 'kill', cause, since, phase, counts: (isDone: boolean) => isDone } as const
  if (!(await measured(ctx, told, (end) => ctx.lifecycle.preempt(id, event, reason, end)))) return false
  const finish = async (row: Sandbox | undefined) => {
    // What was under way may have ended it as it broke off.
    if (row !== undefined) await ctx.endings.finish(row, cause)
  }
  ctx.lifecycle.exclusive(id, finish).catch((error) => {
    ctx.log.warn({ sandboxId: id, err: error }, 'an end that is recorded is left to reconciliation')
  })
  return true
}

function requireUnended(row: Sandbox | undefined, ref: SandboxRef): Sandbox {
  const sandbox = requireOwned(row, ref)
  if (sandbox.state === 'killing') throw sandboxNotFound(ref.id)
  return sandbox
}
