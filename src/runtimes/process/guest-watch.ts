import type { RuntimeEvent } from '../../domain/runtime.ts'
import type { ProcessId } from './handle.ts'
import { isAlive } from './proc-table.ts'

/** Pause between looks after guests that aren't children of this process, in milliseconds */
const lookMs = 200

/** Knows the guests that were announced, and reports the end of one that nobody asked for, once. */
export interface GuestWatch {
  /** `ended` resolves when the agent ends, where that is known; others are looked after from time to time. */
  add(sandboxId: string, agent: ProcessId, ended?: Promise<unknown>): void
  /** The guest's end is asked for, or it has ended. */
  drop(sandboxId: string): void
  /** Returns false when there is a listener already. */
  listen(listener: (event: RuntimeEvent) => void, signal: AbortSignal): boolean
  close(): void
}

export function createGuestWatch(): GuestWatch {
  const known = new Map<string, ProcessId>()
  let listener: ((event: RuntimeEvent) => void) | undefined
  let timer: NodeJS.Timeout | undefined

  const look = async (sandboxId: string, agent: ProcessId) => {
    if (listener === undefined || (await isAlive(agent)) || known.get(sandboxId) !== agent) return
    known.delete(sandboxId)
    listener?.({ type: 'guest-gone', sandboxId })
  }
  const stop = () => {
    clearInterval(timer)
    listener = undefined
  }

  return {
    add(sandboxId, agent, ended) {
      if (known.has(sandboxId)) return
      known.set(sandboxId, agent)
      void ended?.then(() => look(sandboxId, agent))
    },
    drop(sandboxId) {
      known.delete(sandboxId)
    },
    listen(next, signal) {
      if (listener !== undefined) return false
      if (signal.aborted) return true
      listener = next
      timer = setInterval(() => {
        for (const [sandboxId, agent] of known) void look(sandboxId, agent)
      }, lookMs).unref()
      signal.addEventListener('abort', stop, { once: true })
      return true
    },
    close: stop,
  }
}
