/**
 * How much memory all together may hold of what others send, shared out by key, so that nobody's sum takes the
 * process's memory however many requests it is spread over.
 */
export interface ByteBudget {
  /** An account of what one use holds; it begins with nothing. */
  open(key: string): ByteAccount
  /** What all hold, in bytes. */
  held(): number
}

export interface ByteAccount {
  /** Raises what is held to `bytes`, never lowers it, and says whether there was room; where not, nothing changes. */
  raise(bytes: number): boolean
  /** Gives everything back. Idempotent. */
  close(): void
}

export interface ByteBudgetOptions {
  /** Most for all keys together, in bytes */
  maxBytes: number
  /** Most for one key, in bytes */
  keyMaxBytes: number
}

export function createByteBudget({ maxBytes, keyMaxBytes }: ByteBudgetOptions): ByteBudget {
  const heldByKey = new Map<string, number>()
  let held = 0

  function add(key: string, bytes: number): void {
    held += bytes
    const left = (heldByKey.get(key) ?? 0) + bytes
    if (left === 0) heldByKey.delete(key)
    else heldByKey.set(key, left)
  }

  return {
    held: () => held,
    open(key) {
      let mine = 0
      let isOpen = true
      return {
        raise(bytes) {
          const more = bytes - mine
          if (!isOpen || more <= 0) return true
          if (held + more > maxBytes || (heldByKey.get(key) ?? 0) + more > keyMaxBytes) return false
          mine = bytes
          add(key, more)
          return true
        },
        close() {
          isOpen = false
          if (mine > 0) add(key, -mine)
          mine = 0
        },
      }
    },
  }
}
