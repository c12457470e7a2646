/**
 * The one writer of sandbox states. Each sandbox has a queue; within it the row is read anew, the pure transition
 * function says whether the step is legal, the intent is written, then the effect happens, then its outcome is
 * written. A crash between any two of these is repaired by `reconcile`.
 */
import { ServerError } from '../domain/error.ts'
import type { SandboxNode } from '../domain/node.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { nextState, type SandboxEvent } from '../domain/sandbox-state.ts'
import type { Store } from '../domain/store.ts'
import { createKeyedQueue } from '../lib/keyed-queue.ts'
import type { Log } from '../lib/log.ts'

export interface Lifecycle {
  /** Runs `task` alone for that sandbox, with its row as it is then. */
  exclusive<T>(id: string, task: (sandbox: Sandbox | undefined) => Promise<T>): Promise<T>
  /**
   * Ends a sandbox; only inside `exclusive`. The end is final as soon as it is recorded: when the effect fails
   * (`unavailable`) the row stays in `killing` and reconciliation finishes it. Errors: `conflict`, `unavailable`.
   */
  end(sandbox: Sandbox, event: SandboxEvent, signal: AbortSignal): Promise<void>
  /** Resolves when no sandbox has a task waiting or running. */
  idle(): Promise<void>
}

export function createLifecycle(parts: { store: Store; node: SandboxNode; log: Log }): Lifecycle {
  const { store, node, log } = parts
  const queue = createKeyedQueue()

  return {
    exclusive: (id, task) => queue.run(id, async () => task(await store.sandboxes.find(id))),
    idle: () => queue.idle(),

    async end(sandbox, event, signal) {
      const state = nextState(sandbox.state, event)
      if (state === undefined) {
        throw new ServerError(
          'conflict',
          `Sandbox "${sandbox.id}" is ${sandbox.state} and can't be ended now.`,
        )
      }
      if (state !== sandbox.state) await store.sandboxes.update(sandbox.id, { state })
      node.withdraw(sandbox.id)
      if (sandbox.handle !== null) await node.destroy(sandbox.handle, signal)
      await store.sandboxes.remove(sandbox.id)
      log.info({ sandboxId: sandbox.id, reason: event }, 'sandbox ended')
    },
  }
}
