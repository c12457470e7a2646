import type { ControlContext } from './context.ts'
import { requireOwned, type SandboxRef } from './find-sandbox.ts'

/**
 * Ends a sandbox for good, running or paused. Killing one whose end was recorded but couldn't be carried out tries
 * again. Errors: `not_found`, `unavailable`.
 */
export async function killSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  signal: AbortSignal,
  reason: 'request' | 'admin' | 'shutdown' = 'request',
): Promise<void> {
  await ctx.lifecycle.exclusive(
    ref.id,
    async (row) => {
      await ctx.lifecycle.end(requireOwned(row, ref), 'kill', reason, signal)
    },
    signal,
  )
}
