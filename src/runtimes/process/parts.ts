import type { Log } from '../../lib/log.ts'
import type { Agent } from './agent-process.ts'
import type { Faults } from './faults.ts'
import type { GuestDirs, Owner } from './guest-dir.ts'
import type { GuestWatch } from './guest-watch.ts'
import type { ImageStore } from './images.ts'

/** What the operations of the runtime work with. */
export interface ProcessParts {
  dirs: GuestDirs
  images: ImageStore
  guests: GuestWatch
  /** Whom agents run as; absent: the server's own user */
  owner: Owner | undefined
  /** Path of the agent, where its user can run it */
  binary: () => Promise<string>
  /** Told of each agent that has come to count */
  onStart: (sandboxId: string, agent: Agent) => void
  /** Guests that stand still only while they are copied */
  copied: Set<string>
  faults: Faults
  log: Log
}
