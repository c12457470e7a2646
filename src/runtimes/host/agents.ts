import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { AgentAddress } from '../../domain/data-plane.ts'
import { ServerError } from '../../domain/error.ts'
import { pinSocket } from '../../lib/pinned-socket.ts'

/** Ways to guests' agents. */
export interface Agents {
  /** Errors: `unavailable`, where the guest doesn't run. */
  address(sandboxId: string): AgentAddress
  /** A new half-open stream. Errors: `unavailable`, with what the system said. */
  connect(sandboxId: string, signal: AbortSignal): Promise<Duplex>
}

/**
 * By their sockets. They lie in a directory of the helper's that no guest sees, so a path leads to the agent that it is named for, or
 * to nothing.
 */
export function unixAgents(root: string): Agents {
  const path = (sandboxId: string) => join(root, 'sockets', `${sandboxId}.sock`)
  return {
    address: (sandboxId) => ({ kind: 'unix', path: path(sandboxId) }),
    async connect(sandboxId, signal) {
      try {
        // By its inode, so that the path may be of any length, and a full queue is waited for.
        const socket = await pinSocket(path(sandboxId))
        return await socket.connect(signal).finally(() => socket.close())
      } catch (error) {
        signal.throwIfAborted()
        throw new ServerError('unavailable', `Sandbox ${sandboxId} does not answer.`, {
          cause: error,
          errno: (error as NodeJS.ErrnoException).code,
        })
      }
    },
  }
}
