import type { Log } from '../../lib/log.ts'
import type { Engine } from './engine.ts'
import type { ExpectedEnds } from './expected-ends.ts'
import type { InstanceNetwork } from './network.ts'
import type { RunDirs } from './run-dir.ts'
import type { Transports } from './transports.ts'

/** What the runtime's operations work with. */
export interface DockerParts {
  engine: Engine
  instanceId: string
  /** Path of the agent on the host */
  guestBinary: string
  network: InstanceNetwork
  dirs: RunDirs
  transports: Transports
  ends: ExpectedEnds
  log: Log
}
