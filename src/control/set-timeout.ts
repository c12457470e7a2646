import type { ControlContext } from './context.ts'
import { requireRunning, type SandboxRef } from './find-sandbox.ts'

/** Moves the deadline to `timeoutS` seconds from now, later or earlier; 0 or less ends the sandbox. Errors: `not_found`. */
export async function setSandboxTimeout(
  ctx: ControlContext,
  ref: SandboxRef,
  timeoutS: number,
): Promise<void> {
  await ctx.lifecycle.exclusive(ref.id, async (row) => {
    requireRunning(row, ref)
    await ctx.store.sandboxes.update(ref.id, { endAt: ctx.clock.now() + timeoutS * 1000 })
  })
}
