import { ServerError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { EndPhase } from '../domain/telemetry.ts'
import { loopTurns } from '../lib/loop-turns.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'
import { requireVisible, type SandboxRef } from './find-sandbox.ts'
import { measured } from './measured.ts'
import { isAway, recordPause, settle, undoPause } from './settle.ts'

/** How long a pause may take from its turn on, in ms. It goes on when its client leaves. */
const pauseTimeoutMs = 60_000
/** Turns of the event loop from a connection's acceptance to its request's arrival in the queue, and some to spare. */
const turnsToRead = 8
/** Turns for which requests that keep coming are waited for: one connection is accepted in each. */
const turnsMax = 4096
/** How long making good a failed pause may take, in ms. */
const undoTimeoutMs = 30_000

export interface PauseRequest {
  memory: boolean
  requireHealthyGuest?: boolean
  /** When the request came, Unix milliseconds; absent: now */
  askedAt?: number
  phase?: EndPhase
}

/**
 * Pauses a running sandbox, with its memory or its files alone. Of several requests at once one pauses and all
 * succeed; one that comes when that is done is a `conflict` (e2b-behaviour 1.4). A pause that fails leaves the sandbox running.
 * Errors: `not_found`, `conflict`, `unimplemented` (the runtime can't keep memory), `unavailable` (with
 * `requireHealthyGuest` also when the guest's agent doesn't answer), `internal`.
 */
export async function pauseSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  options: PauseRequest,
  signal: AbortSignal,
): Promise<void> {
  const { askedAt = ctx.clock.now() } = options
  const since = performance.now()
  checkPausable(ctx, options.memory)
  await ctx.lifecycle.exclusive(
    ref.id,
    async (row) => {
      const sandbox = requireVisible(row, ref)
      if (sandbox.state === 'paused') {
        // Of a paused sandbox the end is the time of its pause.
        if (askedAt <= sandbox.endAt) return
        throw alreadyPaused(ref.id)
      }
      if (options.requireHealthyGuest === true) await checkHealth(ctx, sandbox, signal)
      await pause(ctx, sandbox, { ...options, reason: 'request', since })
    },
    signal,
  )
}

/** Errors: `unavailable` when the guest's agent doesn't answer. */
async function checkHealth(ctx: ControlContext, { handle, id }: Sandbox, signal: AbortSignal): Promise<void> {
  const condition = handle === null ? 'gone' : await ctx.node.recover(handle, signal)
  if (condition === 'running') return
  throw new ServerError(
    'unavailable',
    `Sandbox "${id}" isn't healthy: its agent doesn't answer. It keeps running.`,
    {
      retryAfterS: 5,
    },
  )
}

/** Errors: `unimplemented`, naming the capability. */
export function checkPausable({ node }: ControlContext, memory: boolean): void {
  if (!memory || node.capabilities.memoryPause !== 'none') return
  throw new ServerError(
    'unimplemented',
    `The runtime "${node.runtime}" can't keep memory (capability memoryPause): pause with memory: false.`,
  )
}

export interface PauseOptions {
  memory: boolean
  reason: 'request' | 'timeout'
  /** When it began to wait for its turn, as `performance.now()` says it */
  since: number
  phase?: EndPhase
}

/** Intent, effect, outcome; only inside `exclusive`. Errors: `conflict`, `unavailable`, `internal`. */
export function pause(ctx: ControlContext, sandbox: Sandbox, options: PauseOptions): Promise<Sandbox> {
  const { reason: cause, since, phase: told } = options
  return measured(ctx, { operation: 'pause', cause, since, phase: told }, (phase) =>
    pauseInTurn(ctx, sandbox, { ...options, phase }),
  )
}

async function pauseInTurn(
  ctx: ControlContext,
  sandbox: Sandbox,
  { memory, reason, phase }: PauseOptions & { phase: EndPhase },
): Promise<Sandbox> {
  const intent = await ctx.lifecycle.move(sandbox, 'pause', { pausedWithMemory: memory })
  // A pause that is to be is completed after a power failure, so its record needn't wait for the disk once more.
  const kept = ctx.store.durable()
  kept.catch(() => {})
  phase('store')
  await ctx.node.withdraw(sandbox.id)
  phase('withdraw')
  let hasMemory: boolean
  try {
    if (intent.handle === null) throw new ServerError('internal', 'The sandbox has no guest.')
    hasMemory = (await ctx.node.pause(intent.handle, { memory }, patientSignal(pauseTimeoutMs))).memory
    await kept
  } catch (error) {
    await makeGood(ctx, intent, error)
    throw error
  }
  phase('pause')
  // Whoever had asked for it by now asked before it was done, though nobody may have read that yet.
  if (reason === 'request') await untilRead(ctx, sandbox.id)
  phase('settle')
  const paused = await recordPause(ctx, intent, hasMemory, reason)
  phase('record')
  return paused
}

/** Resolves when what had arrived at this server by now is in the sandbox's queue. */
async function untilRead({ lifecycle, caughtUp }: ControlContext, id: string): Promise<void> {
  for (
    let turns = 0, before = -1;
    turns < turnsMax && lifecycle.waiting(id) !== before;
    turns += 2 * turnsToRead
  ) {
    before = lifecycle.waiting(id)
    await loopTurns(turnsToRead)
    await caughtUp()
    await loopTurns(turnsToRead)
  }
}

/** What can't be made good now is left to reconciliation. */
async function makeGood(ctx: ControlContext, intent: Sandbox, error: unknown): Promise<void> {
  const signal = patientSignal(undoTimeoutMs)
  try {
    if (isAway(error)) await settle(ctx, intent, signal)
    else await undoPause(ctx, intent, error, signal)
  } catch (failure) {
    ctx.log.warn({ sandboxId: intent.id, err: failure }, 'a failed pause is left to reconciliation')
  }
}

function alreadyPaused(id: string): ServerError {
  return new ServerError('conflict', `Error pausing sandbox - sandbox '${id}' is already paused`)
}
