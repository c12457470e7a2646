import type { Sandbox } from '../domain/sandbox.ts'
import type { ControlContext } from './context.ts'
import { requireRunning, type SandboxRef } from './find-sandbox.ts'

/**
 * Reaches a running sandbox and gives it at least `timeoutS` more seconds; a later deadline stays as it is, to the
 * millisecond (e2b-wire 8, gotcha 10). Errors: `not_found`.
 */
export function connectSandbox(ctx: ControlContext, ref: SandboxRef, timeoutS: number): Promise<Sandbox> {
  return ctx.lifecycle.exclusive(ref.id, async (row) => {
    const sandbox = requireRunning(row, ref)
    const endAt = ctx.clock.now() + timeoutS * 1000
    if (endAt <= sandbox.endAt) return sandbox
    await ctx.store.sandboxes.update(sandbox.id, { endAt })
    return { ...sandbox, endAt }
  })
}
