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
   * Records a step and what belongs to it, and resolves with the row as it is then; only inside `exclusive`. Whoever tells of a step
   * that must outlast a power failure waits for `Store.durable`.
   * Errors: `conflict` where the step isn't legal, or the sandbox's end is recorded.
   */
  move(
    sandbox: Sandbox,
    event: SandboxEvent,
    change?: Omit<SandboxUpdate, 'state'>,
    told?: Told,
  ): Promise<Sandbox>
  /**
   * Records that nothing is left of a paused sandbox's memory, or will be, before anything is done that takes it; only inside
   * `exclusive`. It is no step: the state stays. `told`: what its owner is told of it. Errors: `conflict` where the sandbox's end is
   * recorded.
   */
  forgetMemory(sandbox: Sandbox, told?: Told): Promise<void>
  /** Lets traffic reach a sandbox that runs, unless its end has been recorded meanwhile; only inside `exclusive`. */
  admit(sandbox: Sandbox, options?: { fresh?: boolean }): void
  /**
   * Ends a sandbox; only inside `exclusive`. The end is final as soon as it is recorded: when the effect fails
   * (`unavailable`) the row stays in `killing` and reconciliation finishes it. Errors: `conflict`, `unavailable`.
   */
  end(sandbox: Sandbox, event: SandboxEvent, reason: string, signal: AbortSignal): Promise<void>
  /**
   * The first half of `end`: records it, with its event, and ends traffic. Resolves with the row, which stays until `carryOut`.
   * Errors: `conflict`.
   */
  recordEnd(sandbox: Sandbox, event: SandboxEvent, reason: string, phase?: EndPhase): Promise<Sandbox>
  /**
   * The second half: frees all that a sandbox has whose end is recorded, and then its row. Whoever calls it meanwhile has the
   * same outcome; nothing happens to one that is gone already. Errors: `unavailable`.
   */
  carryOut(ended: Sandbox, signal: AbortSignal, phase?: EndPhase): Promise<void>
  /** Undoes a start that failed, and why: as `end`, but its event is the failure. */
  undoStart(sandbox: Sandbox, message: string, signal: AbortSignal): Promise<void>
  /**
   * Records the end of a sandbox whose queue is busy, at once, ends its traffic and breaks off what is under way; who has the
   * next turn carries it out. False where it isn't: nothing stands before `end`, its end is recorded already, or it is being made,
   * which nobody but its creator knows of.
   * Errors: `conflict` where its state doesn't allow the end.
   */
  preempt(id: string, event: 'kill' | 'expire', reason: string, phase?: EndPhase): Promise<boolean>
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
  /** Ends that are being carried out, by sandbox */
  const carried = new Map<string, Promise<void>>()

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
    async forgetMemory(sandbox, told) {
      if (sandbox.pausedWithMemory !== true) return
      const event = told && eventOf(sandbox, told, clock.now())
      const options = { event, from: sandbox.state, lazily: true }
      await store.sandboxes.update(sandbox.id, { pausedWithMemory: false }, options)
    },
    recordEnd,
    carryOut,

    admit(sandbox, options) {
      if (underWay.get(sandbox.id)?.signal.aborted !== true) node.admit(sandbox, options)
    },

    async end(sandbox, event, reason, signal) {
      await carryOut(await recordEnd(sandbox, event, reason), signal)
    },

    async undoStart(sandbox, message, signal) {
      const change = { endReason: startFailed }
      const undone = await move(sandbox, 'start-failed', change, failed('start', message))
      await carryOut(await recordEnd(undone, 'kill', startFailed), signal)
    },

    async preempt(id, event, reason, phase = untimed) {
      for (let attempt = 1; queue.waiting(id) > 0; attempt++) {
        const sandbox = await store.sandboxes.find(id)
        if (sandbox === undefined || sandbox.state === 'creating' || sandbox.state === 'killing') return false
        try {
          await writeEnd(sandbox, event, reason)
        } catch (error) {
          // What is under way was a step faster.
          if (attempt < preemptAttempts && toError(error).code === 'conflict') continue
          throw error
        }
        phase('store')
        underWay.get(id)?.abort(sandboxNotFound(id))
        await makeFinal(id)
        phase('withdraw')
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
    await store.sandboxes.update(sandbox.id, update, { event: written, from: sandbox.state, lazily: true })
    return { ...sandbox, ...update }
  }

  async function recordEnd(
    sandbox: Sandbox,
    event: SandboxEvent,
    reason: string,
    phase: EndPhase = untimed,
  ): Promise<Sandbox> {
    const ended = await ensureEnd(sandbox, event, reason)
    phase('store')
    await makeFinal(sandbox.id)
    phase('withdraw')
    return ended
  }

  /** An end that is recorded: nobody reaches the sandbox any more, and no power failure takes that back. */
  async function makeFinal(id: string): Promise<void> {
    await Promise.all([store.durable(), node.withdraw(id)])
  }

  /** One whose end is recorded, maybe only just, keeps the reason it has. */
  async function ensureEnd(sandbox: Sandbox, event: SandboxEvent, reason: string): Promise<Sandbox> {
    if (sandbox.state === 'killing') return sandbox
    try {
      return await writeEnd(sandbox, event, reason)
    } catch (error) {
      const row = await store.sandboxes.find(sandbox.id)
      if (toError(error).code === 'conflict' && row?.state === 'killing') return row
      throw error
    }
  }

  /** With its event, and so that its key may be used again at once. */
  async function writeEnd(sandbox: Sandbox, event: SandboxEvent, reason: string): Promise<Sandbox> {
    const change = { state: next(sandbox, event), endReason: reason, idempotency: null }
    const told = eventOf(sandbox, { type: 'killed', reason }, clock.now())
    const options = { event: told, from: sandbox.state, lazily: true }
    await store.sandboxes.update(sandbox.id, change, options)
    log.info({ sandboxId: sandbox.id, reason }, 'sandbox ended')
    return { ...sandbox, ...change }
  }

  function carryOut(ended: Sandbox, signal: AbortSignal, phase: EndPhase = untimed): Promise<void> {
    const known = carried.get(ended.id)
    if (known !== undefined) return known
    const carrying = destroy(ended, signal, phase).finally(() => carried.delete(ended.id))
    carried.set(ended.id, carrying)
    return carrying
  }

  async function destroy(
    { id, handle: known }: Sandbox,
    signal: AbortSignal,
    phase: EndPhase,
  ): Promise<void> {
    const row = await store.sandboxes.find(id)
    // Whoever has its id now, if anybody, is another.
    if (row?.state !== 'killing') return
    // A start that failed may have made a guest all the same.
    const isIts = ({ sandboxId }: GuestHandle) => sandboxId === id
    const handle = row.handle ?? known ?? (await node.guests(signal)).find(isIts)
    if (handle !== undefined) await node.destroy(handle, signal)
    phase('destroy')
    await store.sandboxes.remove(id)
    phase('record')
    log.debug({ sandboxId: id }, 'nothing is left of a sandbox that has ended')
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
