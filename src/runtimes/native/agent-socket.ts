/**
 * The sockets of guests' agents. They lie in a directory of the helper's that no guest sees, so a path leads to the agent that it
 * is named for, or to nothing.
 */

import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { ServerError } from '../../domain/error.ts'
import { pinSocket } from '../../lib/pinned-socket.ts'

export interface AgentSockets {
  path(sandboxId: string): string
  /** A new half-open stream. Errors: `unavailable`, with what the system said. */
  connect(sandboxId: string, signal: AbortSignal): Promise<Duplex>
}

export function createAgentSockets(root: string): AgentSockets {
  const path = (sandboxId: string) => join(root, 'sockets', `${sandboxId}.sock`)
  return {
    path,
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
