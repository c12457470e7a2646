/**
 * What nobody refers to, and since when. It is removed only when it has been so for a while: a store that was put back
 * to an older state knows nothing of what was made since, and its operator has the time to notice.
 */
export interface Orphans {
  /** Takes all orphans of a kind that there are now, and returns those whose time is over. */
  due(kind: 'guest' | 'image', names: readonly string[]): string[]
}

/** One interval of reconciliation, in ms. */
const defaultGraceMs = 30_000

export function createOrphans({ graceMs = defaultGraceMs }: { graceMs?: number } = {}): Orphans {
  const since = { guest: new Map<string, number>(), image: new Map<string, number>() }
  return {
    due(kind, names) {
      const now = performance.now()
      const before = since[kind]
      since[kind] = new Map(names.map((name) => [name, before.get(name) ?? now]))
      return names.filter((name) => now - (before.get(name) ?? now) >= graceMs)
    },
  }
}
