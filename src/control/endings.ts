/**
 * Ends that are answered before they are carried out: once an end is recorded and no traffic reaches its sandbox, what is
 * left to do concerns nobody who waits. It is done behind the answer, some at a time, and so many may wait for it; beyond
 * that the answer waits for room. The record stays until nothing of the sandbox is left, so what fails here, or is cut off
 * by the server's end, is done by reconciliation.
 */
import { setMaxListeners } from 'node:events'
import type { Sandbox } from '../domain/sandbox.ts'
import type { SandboxEvent } from '../domain/sandbox-state.ts'
import type { Backlog, Cause, EndPhase } from '../domain/telemetry.ts'
import { anySignal, sleep } from '../lib/deadline.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { createSemaphore } from '../lib/semaphore.ts'
import type { ControlContext } from './context.ts'
import type { Lifecycle } from './lifecycle.ts'
import { measured } from './measured.ts'

export interface Ending {
  event: SandboxEvent
  reason: string
  cause: Cause
  /** When it began to wait for its turn, as `performance.now()` says it */
  since: number
  /** How long it may wait for room */
  signal?: AbortSignal
  phase?: EndPhase | undefined
}

export interface Endings {
  /**
   * Ends a sandbox; only inside `exclusive`. Resolves as soon as the end is recorded, no traffic reaches the sandbox, and there
   * is room for what is left to do, or `signal` has aborted. Errors: those of `Lifecycle.recordEnd`; it isn't recorded then.
   */
  end(sandbox: Sandbox, ending: Ending): Promise<void>
  /** Has an end carried out that is recorded and answered. Resolves when there is room for it, or none for long. */
  finish(ended: Sandbox, cause: Cause): Promise<void>
  /** What is left to do of ends that are answered: what waits for its turn, and what is being done. */
  backlog(): Backlog
  /** Resolves when nothing of all that is left to do. */
  idle(): Promise<void>
  /** Leaves what isn't done by now to the next start. */
  abandon(): void
}

export interface EndingsOptions {
  lifecycle: Lifecycle
  telemetry: ControlContext['telemetry']
  log: Log
  /** How many are carried out at a time */
  parallel?: number
  /** How many may wait or be carried out before answers wait too */
  backlogMax?: number
  /** How long after the last end one is carried out, in ms */
  calmMs?: number
}

/** More at a time make an engine take longer for each, and for what clients wait for. */
const parallelDefault = 8
const backlogDefault = 256
/**
 * Whoever ends several sandboxes one after the other would share the processors with what is left of each before. So that waits until no
 * other was asked for of late, and not for long: by then it still runs. In ms.
 */
const calmDefaultMs = 20
const calmMaxMs = 250
/** How long an end may wait for room in the backlog, and how long carrying one out may take from its turn on, in ms. */
const roomMs = 30_000
const carryOutMs = 30_000

export function createEndings(options: EndingsOptions): Endings {
  const { lifecycle, telemetry, log, parallel = parallelDefault, backlogMax = backlogDefault } = options
  const { calmMs = calmDefaultMs } = options
  const room = createSemaphore(backlogMax)
  const turns = createSemaphore(parallel)
  const abandoned = new AbortController()
  // One listener for each that waits.
  setMaxListeners(0, abandoned.signal)
  const carrying = new Set<Promise<void>>()
  let running = 0
  let lastAt = Number.NEGATIVE_INFINITY

  return {
    end: (sandbox, { event, reason, cause, since, phase: told, signal }) =>
      measured({ telemetry }, { operation: 'kill', cause, since, phase: told }, async (phase) => {
        const ended = await lifecycle.recordEnd(sandbox, event, reason, phase)
        await begin(ended, cause, signal)
        phase('backlog')
      }),
    finish: begin,
    backlog: () => ({ waiting: carrying.size - running, running }),
    async idle() {
      while (carrying.size > 0) await Promise.all(carrying)
    },
    abandon: () => abandoned.abort(new Error('the server stops')),
  }

  async function begin(ended: Sandbox, cause: Cause, signal?: AbortSignal): Promise<void> {
    let leave: () => void
    lastAt = performance.now()
    try {
      leave = await room.acquire(anySignal(abandoned.signal, signal, patientSignal(roomMs)))
    } catch (error) {
      leaveOver(ended, error)
      return
    }
    const carried = carryOut(ended, cause)
      .catch((error) => leaveOver(ended, error))
      .finally(() => {
        carrying.delete(carried)
        leave()
      })
    carrying.add(carried)
  }

  async function carryOut(ended: Sandbox, cause: Cause): Promise<void> {
    const since = performance.now()
    await untilCalm(since + calmMaxMs)
    const endTurn = await turns.acquire(abandoned.signal)
    running++
    try {
      await measured({ telemetry }, { operation: 'destroy', cause, since }, (phase) =>
        lifecycle.carryOut(ended, anySignal(abandoned.signal, patientSignal(carryOutMs)), phase),
      )
    } finally {
      running--
      endTurn()
    }
  }

  /** Errors: it is abandoned. */
  async function untilCalm(latest: number): Promise<void> {
    for (;;) {
      const leftMs = Math.min(lastAt + calmMs, latest) - performance.now()
      if (leftMs <= 0) return
      await sleep(leftMs, abandoned.signal)
    }
  }

  function leaveOver({ id }: Sandbox, error: unknown): void {
    log.warn({ sandboxId: id, err: error }, 'an end that is recorded is left to reconciliation')
  }
}
