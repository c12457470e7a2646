import { abortable } from '../lib/deadline.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'
import { createSandbox } from './create-sandbox.ts'

/** The id that SDKs use in debug mode, where they make no API call (e2b-wire 1.6). */
export const debugSandboxId = 'debug_sandbox_id'

/** How long the debug sandbox lives at most, in seconds; the next use makes a new one. */
const lifetimeMaxS = 24 * 3600

/**
 * Makes sure that the debug sandbox runs; concurrent first uses share one start.
 * Errors: those of `createSandbox`.
 */
export function createDebugSandbox(
  ctx: ControlContext,
  teamId: string,
): (signal: AbortSignal) => Promise<void> {
  let starting: Promise<unknown> | undefined
  return async (signal) => {
    const existing = await ctx.store.sandboxes.find(debugSandboxId)
    if (existing?.state === 'running') return ctx.node.admit(existing)
    const { lifetimeS } = await ctx.admission.limitsOf(teamId)
    starting ??= createSandbox(
      ctx,
      {
        id: debugSandboxId,
        teamId,
        template: 'base',
        timeoutS: Math.min(lifetimeMaxS, lifetimeS ?? lifetimeMaxS),
        secure: false,
        metadata: {},
        envVars: {},
        allowInternetAccess: null,
        network: null,
        onTimeout: 'kill',
        autoPauseMemory: true,
        autoResume: false,
      },
      { signal: patientSignal(60_000), phase: () => {} },
    ).finally(() => {
      starting = undefined
    })
    await abortable(starting, signal)
  }
}
