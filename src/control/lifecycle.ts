/**
 * The one writer of sandbox states. Each sandbox has a queue; within it the row is read anew, the pure transition
 * function says whether the step is legal, the intent is written, then the effect happens, then its outcome is
 * written. A crash between any two of these is repaired by `settle`.
 */
import { ServerError } from '../domain/error.ts'
import type { LifecycleEventType, NewLifecycleEvent } from '../domain/lifecycle-event.ts'
import type { SandboxNode } from '../domain/node.ts'
import type { Sandbox, SandboxUpdate } from '../domain/sandbox.ts'
import { nextState, type SandboxEvent } from '../domain/sandbox-state.ts'
import type { Store } from '../domain/store.ts'
import type { Clock } from '../lib/clock.ts'
import { createKeyedQueue } from '../lib/keyed-queue.ts'
import type { Log } from '../lib/log.ts'

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
   * before the task's turn takes it out of the queue.
   */
  exclusive<T>(
    id: string,
    task: (sandbox: Sandbox | undefined) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T>
  /**
   * Records a step and what belongs to it, and resolves with the row as it is then; only inside `exclusive`.
   * Errors: `conflict` where the step isn't legal.
   */
  move(
    sandbox: Sandbox,
    event: SandboxEvent,
    change?: Omit<SandboxUpdate, 'state'>,
    told?: Told,
  ): Promise<Sandbox>
  /**
   * Ends a sandbox; only inside `exclusive`. The end is final as soon as it is recorded: when the effect fails
   * (`unavailable`) the row stays in `killing` and reconciliation finishes it. A sandbox that nobody was told of
   * (`start-failed`) ends without an event. Errors: `conflict`, `unavailable`.
   */
  end(sandbox: Sandbox, event: SandboxEvent, reason: string, signal: AbortSignal): Promise<void>
  /** How many tasks of a sandbox wait or run. */
  waiting(id: string): number
  /** Resolves when no sandbox has a task waiting or running. */
  idle(): Promise<void>
}

export function createLifecycle(parts: {
  store: Store
  node: SandboxNode
  clock: Clock
  log: Log
}): Lifecycle {
  const { store, node, clock, log } = parts
  const queue = createKeyedQueue()

  const next = (sandbox: Sandbox, event: SandboxEvent) => {
    const state = nextState(sandbox.state, event)
    if (state !== undefined) return state
    throw new ServerError(
      'conflict',
      `Sandbox "${sandbox.id}" is ${sandbox.state}, which doesn't allow this now. Try again in a moment.`,
    )
  }

  return {
    exclusive: (id, task, signal) => queue.run(id, async () => task(await store.sandboxes.find(id)), signal),
    waiting: (id) => queue.waiting(id),
    idle: () => queue.idle(),

    async move(sandbox, event, change = {}, told) {
      const update = { ...change, state: next(sandbox, event) }
      await store.sandboxes.update(sandbox.id, update, told && eventOf(sandbox, told, clock.now()))
      return { ...sandbox, ...update }
    },

    async end(sandbox, event, reason, signal) {
      const state = next(sandbox, event)
      const endReason = sandbox.endReason ?? reason
      if (state !== sandbox.state) await store.sandboxes.update(sandbox.id, { state, endReason })
      node.withdraw(sandbox.id)
      if (sandbox.handle !== null) await node.destroy(sandbox.handle, signal)
      const untold = endReason === startFailed
      const told = untold ? undefined : eventOf(sandbox, { type: 'killed', reason: endReason }, clock.now())
      await store.sandboxes.remove(sandbox.id, told)
      log.info({ sandboxId: sandbox.id, reason: endReason }, 'sandbox ended')
    },
  }
}

/** The reason of an end that undoes a start. */
export const startFailed = 'start_failed'

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
