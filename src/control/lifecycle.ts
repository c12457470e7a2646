/**
 * The one writer of sandbox states. Each sandbox has a queue; within it the row is read anew, the pure transition
 * function says whether the step is legal, the intent is written, then the effect happens, then its outcome is
 * written. A crash between any two of these is repaired by `settle`. An end is recorded ahead of the queue, and what is
 * under way there breaks off.
 */
import { ServerError, toError } from '../domain/error.ts'
import type { LifecycleEventType, NewLifecycleEvent } from '../domain/lifecycle-event.ts'
import type { SandboxNode } from '../domain/node.ts'
import type { GuestHandle } from '../domain/runtime.ts'
import type { Sandbox, SandboxUpdate } from '../domain/sandbox.ts'
import { nextState, type SandboxEvent } from '../domain/sandbox-state.ts'
import type { Store } from '../domain/store.ts'
import type { Backlog, EndPhase } from '../domain/telemetry.ts'
import type { Clock } from '../lib/clock.ts'
import { createKeyedQueue } from '../lib/keyed-queue.ts'
import type { Log } from '../lib/log.ts'
import { sandboxNotFound } from './find-sandbox.ts'
import { untimed } from './measured.ts'

/** What a sandbox's owner is told of a step. */
export interface Told {
  type: LifecycleEventType
  /** Absent: there is nothing to say */
  reason?: string | null
  detail?: Record<string, unknown>
}

export interface Lifecycle {
  /**
   * Runs `task` alone for that sandbox (or whatever else has an id), with its row as it is then. A signal that aborts
   * before the task's turn takes it out of the queue. `ended` aborts when the sandbox's end is recorded meanwhile
   * (`not_found`): what takes long breaks off.
   */
  exclusive<T>(
    id: string,
    task: (sandbox: Sandbox | undefined, ended: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T>
  /**
   * Records a step and what belongs to it, and resolves with the row as it is then; only inside `exclusive`.
   * Errors: `conflict` where the step isn't legal, or the sandbox's end is recorded.
   */
  move(
    sandbox: Sandbox,
    event: SandboxEvent,
    change?: Omit<SandboxUpdate, 'state'>,
    told?: Told,
  ): Promise<Sandbox>
  /**
   * Ends a sandbox; only inside `exclusive`. The end is final as soon as it is recorded: when the effect fails
   * (`unavailable`) the row stays in `killing` and reconciliation finishes it. Errors: `conflict`, `unavailable`.
   */
  end(
    sandbox: Sandbox,
    event: SandboxEvent,
    reason: string,
    signal: AbortSignal,
    phase?: EndPhase,
  ): Promise<void>
  /** Undoes a start that failed, and why: as `end`, but its event is the failure. */
  undoStart(sandbox: Sandbox, message: string, signal: AbortSignal): Promise<void>
  /**
   * Records the end of a sandbox whose queue is busy, at once, and breaks off what is under way; `end` in its turn
   * carries it out. False where it isn't: nothing stands before `end`, its end is recorded already, or it is being made,
   * which nobody but its creator knows of.
   * Errors: `conflict` where its state doesn't allow the end.
   */
  preempt(id: string, event: 'kill' | 'expire', reason: string): Promise<boolean>
  /** What waits for its turn and what runs, of all sandboxes. */
  backlog(): Backlog
  /** How many tasks of a sandbox wait or run. */
  waiting(id: string): number
  /** Resolves when no sandbox has a task waiting or running. */
  idle(): Promise<void>
}

/** How often an end is tried to be recorded while steps are; they are seldom, and few in a row. */
const preemptAttempts = 10

export function createLifecycle(parts: {
  store: Store
  node: SandboxNode
  clock: Clock
  log: Log
}): Lifecycle {
  const { store, node, clock, log } = parts
  const queue = createKeyedQueue()
  /** Of the tasks that run, by sandbox */
  const underWay = new Map<string, AbortController>()

  const next = (sandbox: Sandbox, event: SandboxEvent) => {
    const state = nextState(sandbox.state, event)
    if (state !== undefined) return state
    throw new ServerError(
      'conflict',
      `Sandbox "${sandbox.id}" is ${sandbox.state}, which doesn't allow this now. Try again in a moment.`,
    )
  }

  return {
    exclusive: (id, task, signal) =>
      queue.run(
        id,
        async () => {
          const ended = new AbortController()
          underWay.set(id, ended)
          try {
            return await task(await store.sandboxes.find(id), ended.signal)
          } finally {
            underWay.delete(id)
          }
        },
        signal,
      ),
    waiting: (id) => queue.waiting(id),
    backlog: () => queue.backlog(),
    idle: () => queue.idle(),

    move,
    end,

    async undoStart(sandbox, message, signal) {
      const change = { endReason: startFailed }
      const undone = await move(sandbox, 'start-failed', change, failed('start', message))
      await end(undone, 'kill', startFailed, signal)
    },

    async preempt(id, event, reason) {
      for (let attempt = 1; queue.waiting(id) > 0; attempt++) {
        const sandbox = await store.sandboxes.find(id)
        if (sandbox === undefined || sandbox.state === 'creating' || sandbox.state === 'killing') return false
        const end = { state: next(sandbox, event), endReason: reason }
        try {
          await store.sandboxes.update(id, end, { from: sandbox.state })
        } catch (error) {
          // What is under way was a step faster.
          if (attempt < preemptAttempts && toError(error).code === 'conflict') continue
          throw error
        }
        underWay.get(id)?.abort(sandboxNotFound(id))
        await node.withdraw(id)
        return true
      }
      return false
    },
  }

  async function move(
    sandbox: Sandbox,
    event: SandboxEvent,
    change: Omit<SandboxUpdate, 'state'> = {},
    told?: Told,
  ): Promise<Sandbox> {
    const update = { ...change, state: next(sandbox, event) }
    const written = told && eventOf(sandbox, told, clock.now())
    await store.sandboxes.update(sandbox.id, update, { event: written, from: sandbox.state })
    return { ...sandbox, ...update }
  }

  async function end(
    sandbox: Sandbox,
    event: SandboxEvent,
    reason: string,
    signal: AbortSignal,
    phase: EndPhase = untimed,
  ): Promise<void> {
    const endReason = await recordEnd(sandbox, event, reason)
    phase('store')
    await node.withdraw(sandbox.id)
    phase('withdraw')
    // A start that failed may have made a guest all the same.
    const isIts = ({ sandboxId }: GuestHandle) => sandboxId === sandbox.id
    const handle = sandbox.handle ?? (await node.guests(signal)).find(isIts)
    if (handle !== undefined) await node.destroy(handle, signal)
    phase('destroy')
    const untold = endReason === startFailed
    const told = untold ? undefined : eventOf(sandbox, { type: 'killed', reason: endReason }, clock.now())
    await store.sandboxes.remove(sandbox.id, told)
    phase('record')
    log.info({ sandboxId: sandbox.id, reason: endReason }, 'sandbox ended')
  }

  /** The reason that is recorded: one whose end was recorded meanwhile has its own. */
  async function recordEnd(sandbox: Sandbox, event: SandboxEvent, reason: string): Promise<string> {
    const endReason = sandbox.endReason ?? reason
    const state = next(sandbox, event)
    if (state === sandbox.state) return endReason
    try {
      await store.sandboxes.update(sandbox.id, { state, endReason }, { from: sandbox.state })
      return endReason
    } catch (error) {
      const row = await store.sandboxes.find(sandbox.id)
      if (toError(error).code === 'conflict' && row?.state === state) return row.endReason ?? reason
      throw error
    }
  }
}

/** The reason of an end that undoes a start, which its failure has told of. */
const startFailed = 'start_failed'

/** A step that has failed, with a sentence on why. */
export function failed(
  reason: 'start' | 'pause' | 'resume',
  message: string,
  detail: Record<string, unknown> = {},
): Told {
  return { type: 'failed', reason, detail: { message, ...detail } }
}

/** What happened to a sandbox, as the log of its events has it. */
export function eventOf(sandbox: Sandbox, told: Told, at: number): NewLifecycleEvent {
  return {
    teamId: sandbox.teamId,
    sandboxId: sandbox.id,
    templateId: sandbox.templateId,
    type: told.type,
    at,
    reason: told.reason ?? null,
    detail: { metadata: sandbox.metadata, ...executionOf(sandbox, told, at), ...told.detail },
  }
}

/** What ran until now, where it ends or stands still. */
function executionOf({ startedAt, cpuCount, memoryMb }: Sandbox, { type }: Told, at: number) {
  if (type !== 'killed' && type !== 'paused') return {}
  return {
    execution: {
      started_at: new Date(startedAt).toISOString(),
      vcpu_count: cpuCount,
      memory_mb: memoryMb,
      execution_time: Math.max(0, Math.round(at - startedAt)),
    },
  }
}
