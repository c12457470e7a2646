/** Admits a fixed number at once; the rest wait in the order they came. */
export interface Semaphore {
  /** Resolves with the function that gives the permit back. Rejects with the signal's reason when it aborts first. */
  acquire(signal: AbortSignal): Promise<() => void>
}

/** `permits`: how many are admitted at once, at least 1. */
export function createSemaphore(permits: number): Semaphore {
  let free = permits
  const waiting = new Set<() => void>()

  /** Giving back twice gives back once. */
  const permit = () => {
    let held = true
    return () => {
      if (!held) return
      held = false
      free++
      admit()
    }
  }
  const admit = () => {
    for (const next of waiting) {
      if (free === 0) return
      waiting.delete(next)
      free--
      next()
    }
  }

  return {
    acquire(signal) {
      if (signal.aborted) return Promise.reject(signal.reason)
      return new Promise((resolve, reject) => {
        const onAbort = () => {
          waiting.delete(enter)
          reject(signal.reason)
        }
        const enter = () => {
          signal.removeEventListener('abort', onAbort)
          resolve(permit())
        }
        signal.addEventListener('abort', onAbort, { once: true })
        waiting.add(enter)
        admit()
      })
    },
  }
}
