/** A path inside, as a user means it: relative ones start at the user's home (spec/guest.md, Users and paths). */
export interface PathRequest {
  path: string
  /** Absent: the default user */
  user?: string
}

/**
 * How long an operation may take whose work grows with a directory tree, in milliseconds. Its caller's own limit
 * comes first in practice.
 */
export const treeTimeoutMs = 600_000
