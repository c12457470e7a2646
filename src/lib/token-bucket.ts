/** A rate that may be caught up with, but not by more than the bucket holds. */
export interface TokenBucket {
  /** Takes one token; 0 when it could, else after how many seconds it can. */
  take(now: number, perSecond: number): number
  /** Gives one back. */
  refund(): void
  /** Whether it holds all it can, so that a new one would be the same. */
  isFull(now: number): boolean
}

/**
 * Holds a second's worth, at least one, and begins full. Times are in ms. The rate arrives with each take, so that a
 * change of it counts at once.
 */
export function createTokenBucket(): TokenBucket {
  let capacity = 1
  let rate = 1
  let tokens = Number.POSITIVE_INFINITY
  let last = 0

  /** A clock that goes back adds nothing and takes nothing. */
  const fill = (now: number) => {
    tokens = Math.min(capacity, tokens + (Math.max(0, now - last) / 1000) * rate)
    last = now
  }

  return {
    take(now, perSecond) {
      rate = perSecond
      capacity = Math.max(1, perSecond)
      fill(now)
      // Sums of fractions fall short of the whole by some rounding.
      if (tokens < 1 - 1e-9) return (1 - tokens) / rate
      tokens = Math.max(0, tokens - 1)
      return 0
    },
    refund() {
      tokens = Math.min(capacity, tokens + 1)
    },
    isFull(now) {
      fill(now)
      return tokens === capacity
    },
  }
}
