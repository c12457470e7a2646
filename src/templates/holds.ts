/** What running builds use, so that nobody takes it away: names of guests and images, and ids of builds. */
export interface Holds {
  /** What one build uses; it begins with nothing. */
  open(): Hold
  has(name: string): boolean
}

export interface Hold {
  take(name: string): void
  /** Gives one back. Idempotent. */
  drop(name: string): void
  /** Gives everything back. Idempotent. */
  close(): void
}

export function createHolds(): Holds {
  const counts = new Map<string, number>()
  const give = (name: string) => {
    const left = (counts.get(name) ?? 0) - 1
    if (left > 0) counts.set(name, left)
    else counts.delete(name)
  }

  return {
    has: (name) => counts.has(name),
    open() {
      const held = new Set<string>()
      return {
        take(name) {
          if (held.has(name)) return
          held.add(name)
          counts.set(name, (counts.get(name) ?? 0) + 1)
        },
        drop(name) {
          if (held.delete(name)) give(name)
        },
        close() {
          for (const name of held) give(name)
          held.clear()
        },
      }
    },
  }
}
