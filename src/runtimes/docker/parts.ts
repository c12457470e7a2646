import type { Log } from '../../lib/log.ts'
import type { Semaphore } from '../../lib/semaphore.ts'
import type { CpuSets } from './cpu-sets.ts'
import type { EgressSwitch } from './egress-switch.ts'
import type { Engine } from './engine.ts'
import type { EngineHost } from './engine-host.ts'
import type { ExpectedEnds } from './expected-ends.ts'
import type { Freezer } from './freezer.ts'
import type { MemoryReclaim } from './memory-reclaim.ts'
import type { InstanceNetwork } from './network.ts'
import type { RunDirs } from './run-dir.ts'
import type { Transports } from './transports.ts'
import type { Views } from './views.ts'

/** What the runtime's operations work with. */
export interface DockerParts {
  engine: Engine
  engineHost: EngineHost
  instanceId: string
  /** Path of the agent on the host */
  guestBinary: string
  /** Path of the helper on the host, which does what Node.js can't */
  hostBinary: string
  cpuSets: CpuSets
  network: InstanceNetwork
  dirs: RunDirs
  transports: Transports
  ends: ExpectedEnds
  egress: EgressSwitch
  views: Views
  reclaim: MemoryReclaim
  freezer: Freezer
  /** Of starts and boots at once */
  slots: Semaphore
  /** With so many layers below it a snapshot is flattened: the engine takes about 125 */
  layersMax: number
  log: Log
}
