import { createFairSemaphore } from './fair-semaphore.ts'

/**
 * Steps that are long enough to be felt, of which each turn of the event loop makes one at most, so that whatever else
 * the process serves is served between any two of them. Keys take turns.
 */
export interface WorkTurns {
  /**
   * Resolves when the caller may make one step, which it does at once and without waiting for anything. Undefined where
   * too many wait. Rejects with the signal's reason when it aborts first.
   */
  take(key: string, signal: AbortSignal): Promise<void> | undefined
}

export interface WorkTurnsOptions {
  /** How many steps may wait for one key, and for all */
  lineMax: number
  waitingMax: number
}

export function createWorkTurns(options: WorkTurnsOptions): WorkTurns {
  const semaphore = createFairSemaphore({ permits: 1, ...options })
  return {
    take: (key, signal) => semaphore.acquire(key, signal)?.then((release) => void setImmediate(release)),
  }
}
