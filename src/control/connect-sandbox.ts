import { ServerError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { publicState } from '../domain/sandbox-state.ts'
import { checkLifetime } from './check-lifetime.ts'
import type { ControlContext } from './context.ts'
import { requireOwned, requireVisible, type SandboxRef } from './find-sandbox.ts'
import { resume } from './resume-sandbox.ts'
import { extend, whileRunning } from './set-timeout.ts'

export interface ConnectRequest {
  /** Lifetime from now on, in seconds */
  timeoutS: number
  /** False: a paused sandbox boots from its files, whatever memory is kept */
  memory: boolean
}

export interface ConnectOptions {
  signal: AbortSignal
  phase?: (name: string) => void
}

/**
 * Reaches a sandbox and gives it at least `timeoutS` more seconds; a later deadline stays as it is, to the millisecond
 * (e2b-wire 8, gotcha 10). A paused one is resumed. Errors: `invalid_argument` (a longer life than the team may have),
 * `not_found`, those of `resume`.
 */
export async function connectSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  { timeoutS, memory }: ConnectRequest,
  { signal, phase }: ConnectOptions,
): Promise<{ sandbox: Sandbox; resumed: boolean }> {
  const askedAt = ctx.clock.now()
  checkLifetime(await ctx.admission.limitsOf(ref.teamId), timeoutS)
  return whileRunning(
    ctx,
    ref,
    async (row, ended) => {
      const sandbox = requireVisible(row, ref)
      if (publicState(sandbox.state) === 'paused') {
        const options = {
          timeoutS,
          memory,
          reason: 'request',
          signal,
          ended,
          ...(phase && { phase }),
        } as const
        return { sandbox: await resume(ctx, sandbox, options), resumed: true }
      }
      return { sandbox: await extend(ctx, sandbox, { seconds: timeoutS, askedAt }), resumed: false }
    },
    signal,
  )
}

/**
 * Makes a paused sandbox run, as older clients ask for it. Errors: `invalid_argument` (a longer life than the team may
 * have), `not_found`, `conflict` (it runs), those of `resume`.
 */
export async function resumeSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  { timeoutS, memory, autoPause }: ConnectRequest & { autoPause: boolean | undefined },
  { signal, phase }: ConnectOptions,
): Promise<Sandbox> {
  checkLifetime(await ctx.admission.limitsOf(ref.teamId), timeoutS)
  return ctx.lifecycle.exclusive(
    ref.id,
    async (row, ended) => {
      const sandbox = requireOwned(row, ref)
      if (publicState(sandbox.state) === 'running') {
        throw new ServerError('conflict', `Sandbox "${ref.id}" is running already.`)
      }
      const paused = requireVisible(sandbox, ref)
      if (autoPause !== undefined) {
        paused.onTimeout = autoPause ? 'pause' : 'kill'
        await ctx.store.sandboxes.update(ref.id, { onTimeout: paused.onTimeout })
      }
      return resume(ctx, paused, {
        timeoutS,
        memory,
        reason: 'request',
        signal,
        ended,
        ...(phase && { phase }),
      })
    },
    signal,
  )
}
