import { ServerError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { EndPhase } from '../domain/telemetry.ts'
import { anySignal } from '../lib/deadline.ts'
import { patientSignal } from '../lib/patience.ts'
import { clampEnd } from './check-lifetime.ts'
import type { ControlContext } from './context.ts'
import { measured } from './measured.ts'
import { settle } from './settle.ts'

/** How long a resume may take once it is admitted, in ms. It goes on when its client leaves. */
const resumeTimeoutMs = 60_000
/** How long making good a failed resume may take, in ms. */
const undoTimeoutMs = 30_000

export interface ResumeOptions {
  /** Lifetime from now on, in seconds */
  timeoutS: number
  /** False: boots from the files even where memory is kept, which is lost by it */
  memory: boolean
  /** Why, for the log of events */
  reason: 'request' | 'traffic'
  /** Until the sandbox is admitted; from then on the resume has a deadline of its own */
  signal: AbortSignal
  /** That of `exclusive`: breaks the resume off at any time */
  ended: AbortSignal
  /** When it began to wait for its turn, as `performance.now()` says it */
  since: number
  phase?: EndPhase
}

/**
 * Makes a paused sandbox run: intent, effect, outcome; only inside `exclusive`. Its start and its deadline count anew.
 * A resume that fails leaves it paused. Memory that the host has lost is a boot from the files, which the log and the
 * event say. Errors: `conflict` (not paused), those of `Admission.enter`, `unavailable`, `internal`.
 */
export function resume(ctx: ControlContext, paused: Sandbox, options: ResumeOptions): Promise<Sandbox> {
  const { reason: cause, since, phase: told } = options
  return measured(ctx, { operation: 'resume', cause, since, phase: told }, (phase) =>
    resumeInTurn(ctx, paused, { ...options, phase }),
  )
}

async function resumeInTurn(
  ctx: ControlContext,
  paused: Sandbox,
  { timeoutS, memory, reason, signal, ended, phase }: ResumeOptions & { phase: EndPhase },
): Promise<Sandbox> {
  const { teamId, cpuCount, memoryMb, diskMb, handle: known } = paused
  if (known === null) throw new ServerError('internal', 'The sandbox has no guest.')
  const release = await ctx.admission.enter(
    { teamId, kind: 'resume', cpuCount, memoryMb, diskMb },
    anySignal(signal, ended),
  )
  phase('admission')
  const deadline = anySignal(ended, patientSignal(resumeTimeoutMs))
  try {
    const condition = await ctx.node.recover(known, deadline)
    phase('recover')
    const hasMemory = paused.pausedWithMemory === true && condition === 'paused'
    const memoryLost =
      paused.pausedWithMemory === true && (condition === 'stopped' || condition === 'cut-off')
    // What the intent says of memory is what an undone resume leaves: a boot that breaks off is never taken for it.
    const intent = await ctx.lifecycle.move(paused, 'resume', { pausedWithMemory: hasMemory && memory })
    try {
      if ((hasMemory && !memory) || condition === 'cut-off') {
        await ctx.node.pause(known, { memory: false }, deadline)
      }
      const { handle, booted } = await ctx.node.resume(intent, {
        signal: deadline,
        phase,
        onUp: release.isUp,
      })
      const now = ctx.clock.now()
      const endAt = clampEnd(await ctx.admission.limitsOf(teamId), now, now + timeoutS * 1000)
      const running = await ctx.lifecycle.move(
        intent,
        'resumed',
        { handle, pausedWithMemory: null, startedAt: now, endAt },
        { type: 'resumed', reason, detail: { memory: !booted, ...(memoryLost && { memoryLost }) } },
      )
      ctx.lifecycle.admit(running)
      phase('record')
      const level = memoryLost ? 'warn' : 'info'
      ctx.log[level]({ sandboxId: running.id, reason, booted, memoryLost }, 'sandbox resumed')
      return running
    } catch (error) {
      await makeGood(ctx, intent, error)
      throw ended.aborted ? ended.reason : error
    }
  } finally {
    release()
  }
}

/** What can't be made good now is left to reconciliation. */
async function makeGood(ctx: ControlContext, { id }: Sandbox, cause: unknown): Promise<void> {
  try {
    const row = await ctx.store.sandboxes.find(id)
    if (row !== undefined) await settle(ctx, row, patientSignal(undoTimeoutMs), { cause })
  } catch (failure) {
    ctx.log.warn({ sandboxId: id, err: failure }, 'a failed resume is left to reconciliation')
  }
}
