/** How long after a guest's removal events about it may still come in, in milliseconds */
const lateEventsMs = 60_000

/** The guests whose end is no news: not announced yet, or being removed. */
export interface ExpectedEnds {
  has(sandboxId: string): boolean
  /** From now on the guest's end is expected. */
  expect(sandboxId: string): void
  /** The guest has been announced: its end is news. */
  unexpect(sandboxId: string): void
  /** The guest is gone; what still comes in about it is old. */
  forget(sandboxId: string): void
  close(): void
}

export function createExpectedEnds(): ExpectedEnds {
  const ends = new Map<string, NodeJS.Timeout | undefined>()
  const set = (sandboxId: string, timer?: NodeJS.Timeout) => {
    clearTimeout(ends.get(sandboxId))
    ends.set(sandboxId, timer)
  }
  return {
    has: (sandboxId) => ends.has(sandboxId),
    expect: (sandboxId) => set(sandboxId),
    unexpect(sandboxId) {
      clearTimeout(ends.get(sandboxId))
      ends.delete(sandboxId)
    },
    forget(sandboxId) {
      set(sandboxId, setTimeout(() => ends.delete(sandboxId), lateEventsMs).unref())
    },
    close() {
      for (const timer of ends.values()) clearTimeout(timer)
      ends.clear()
    },
  }
}
