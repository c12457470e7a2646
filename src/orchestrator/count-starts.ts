import type { SandboxNode, StartCounts } from '../domain/node.ts'

/** A node that counts what became of its starts. */
export function countStarts<T extends SandboxNode>(node: T): { node: T; counts: () => StartCounts } {
  const counts: StartCounts = { underWay: 0, succeeded: 0, failed: 0 }
  return {
    counts: () => ({ ...counts }),
    node: {
      ...node,
      async start(sandbox, options) {
        counts.underWay++
        try {
          const handle = await node.start(sandbox, options)
          counts.succeeded++
          return handle
        } catch (error) {
          counts.failed++
          throw error
        } finally {
          counts.underWay--
        }
      },
    },
  }
}
