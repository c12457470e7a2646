/** Runs tasks with the same key one after another, in the order they came; tasks of different keys side by side. */
export interface KeyedQueue {
  /**
   * A task whose signal aborts before its turn never runs, and its caller is told at once. From its turn on the task
   * itself decides when it ends.
   */
  run<T>(key: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T>
  /** How many tasks of a key wait or run. */
  waiting(key: string): number
  /** How many tasks wait and how many run, of all keys. */
  backlog(): { waiting: number; running: number }
  /** Resolves when every task that was queued has settled. */
  idle(): Promise<void>
}

export function createKeyedQueue(): KeyedQueue {
  const tails = new Map<string, Promise<unknown>>()
  const counts = new Map<string, number>()

  return {
    run(key, task, signal) {
      const before = tails.get(key) ?? Promise.resolve()
      let hasBegun = false
      const turn = () => {
        signal?.throwIfAborted()
        hasBegun = true
        return task()
      }
      const result = before.then(turn, turn)
      const tail = result
        .catch(() => {})
        .finally(() => {
          const left = (counts.get(key) ?? 1) - 1
          if (left > 0) counts.set(key, left)
          else counts.delete(key)
          if (tails.get(key) === tail) tails.delete(key)
        })
      tails.set(key, tail)
      counts.set(key, (counts.get(key) ?? 0) + 1)
      return signal === undefined ? result : untilBegun(result, signal, () => hasBegun)
    },
    waiting: (key) => counts.get(key) ?? 0,
    backlog() {
      let tasks = 0
      for (const count of counts.values()) tasks += count
      return { waiting: tasks - counts.size, running: counts.size }
    },
    async idle() {
      while (tails.size > 0) await Promise.all(tails.values())
    },
  }
}

/** Settles as `result` does, or rejects when the signal aborts before the task has begun. */
function untilBegun<T>(result: Promise<T>, signal: AbortSignal, hasBegun: () => boolean): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const leave = () => {
      if (!hasBegun()) reject(signal.reason)
    }
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
