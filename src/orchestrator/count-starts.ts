import type { SandboxNode, StartCounts } from '../domain/node.ts'

/** A node that counts what became of its starts. */
export function countStarts<T extends SandboxNode>(node: T): { node: T; counts: () => StartCounts } {
  const counts: StartCounts = { underWay: 0, succeeded: 0, failed: 0 }
  /** One that comes to nothing is another's start. */
  const counted = async <Handle>(start: () => Promise<Handle>): Promise<Handle> => {
    counts.underWay++
    try {
      const handle = await start()
      if (handle !== undefined) counts.succeeded++
      return handle
    } catch (error) {
      counts.failed++
      throw error
    } finally {
      counts.underWay--
    }
  }
  return {
    counts: () => ({ ...counts }),
    node: {
      ...node,
      start: (sandbox, options) => counted(() => node.start(sandbox, options)),
      useClaimed: (sandbox, options) => counted(() => node.useClaimed(sandbox, options)),
    },
  }
}
