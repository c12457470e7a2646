import { ServerError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { publicState } from '../domain/sandbox-state.ts'
import type { EndPhase } from '../domain/telemetry.ts'
import { checkLifetime } from './check-lifetime.ts'
import type { ControlContext } from './context.ts'
import { requireVisible, type SandboxRef } from './find-sandbox.ts'
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
  phase?: EndPhase
}

/**
 * Reaches a sandbox and gives it at least `timeoutS` more seconds; a later deadline stays as it is, to the millisecond
 * (e2b-wire 8, gotcha 10). A paused one is resumed; whoever finds it paused, or about to resume, has its resume for an
 * answer, also if another's came first. Errors: `invalid_argument` (a longer life than the team may have), `not_found`,
 * `conflict` (it is to boot from its files, but another's resume came first), those of `resume`.
 */
export async function connectSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  { timeoutS, memory }: ConnectRequest,
  { signal, phase }: ConnectOptions,
): Promise<{ sandbox: Sandbox; resumed: boolean }> {
  const askedAt = ctx.clock.now()
  const since = performance.now()
  checkLifetime(await ctx.admission.limitsOf(ref.teamId), timeoutS)
  const wasPaused = await isPaused(ctx, ref)
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
          since,
          ...(phase && { phase }),
        } as const
        return { sandbox: await resume(ctx, sandbox, options), resumed: true }
      }
      if (wasPaused) checkJoins(ref, memory)
      return { sandbox: await extend(ctx, sandbox, { seconds: timeoutS, askedAt }), resumed: wasPaused }
    },
    signal,
  )
}

/**
 * Makes a paused sandbox run, as older clients ask for it; another's resume that came first is shared, as by
 * `connectSandbox`. Errors: `invalid_argument` (a longer life than the team may have), `not_found`, `conflict` (it runs),
 * those of `resume`.
 */
export async function resumeSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  { timeoutS, memory, autoPause }: ConnectRequest & { autoPause: boolean | undefined },
  { signal, phase }: ConnectOptions,
): Promise<Sandbox> {
  const askedAt = ctx.clock.now()
  const since = performance.now()
  checkLifetime(await ctx.admission.limitsOf(ref.teamId), timeoutS)
  const wasPaused = await isPaused(ctx, ref)
  return ctx.lifecycle.exclusive(
    ref.id,
    async (row, ended) => {
      const sandbox = requireVisible(row, ref)
      const runs = publicState(sandbox.state) === 'running'
      if (runs && !wasPaused) throw new ServerError('conflict', `Sandbox "${ref.id}" is running already.`)
      if (runs) checkJoins(ref, memory)
      if (autoPause !== undefined) {
        sandbox.onTimeout = autoPause ? 'pause' : 'kill'
        await ctx.store.sandboxes.update(ref.id, { onTimeout: sandbox.onTimeout })
      }
      if (runs) return extend(ctx, sandbox, { seconds: timeoutS, askedAt })
      return resume(ctx, sandbox, {
        timeoutS,
        memory,
        reason: 'request',
        signal,
        ended,
        since,
        ...(phase && { phase }),
      })
    },
    signal,
  )
}

/** Whether a sandbox is paused as its clients see it, pauses and resumes under way included. */
async function isPaused({ store }: ControlContext, { id, teamId }: SandboxRef): Promise<boolean> {
  const row = await store.sandboxes.find(id)
  return row?.teamId === teamId && publicState(row.state) === 'paused'
}

/** Whether another's resume will do. Errors: `conflict`. */
function checkJoins({ id }: SandboxRef, memory: boolean): void {
  if (memory) return
  throw new ServerError(
    'conflict',
    `Sandbox "${id}" was resumed by another request meanwhile: to boot it from its files, pause it without its memory.`,
  )
}
