/**
 * The one node of this server, for its operator: what it is, what it does, and whether new sandboxes may start on it.
 */
import { randomUUID } from 'node:crypto'
import { ServerError } from '../domain/error.ts'
import type { Cpu, Disk, Machine } from '../domain/machine.ts'
import type { StartCounts } from '../domain/node.ts'
import type { NodeStatus } from '../domain/node-status.ts'
import type { SandboxState } from '../domain/sandbox-state.ts'
import type { Store } from '../domain/store.ts'
import type { Log } from '../lib/log.ts'

export interface NodeDescription {
  id: string
  /** A UUID of this process */
  serviceInstanceId: string
  version: string
  status: NodeStatus
  sandboxCount: number
  starts: StartCounts
  cpu: Cpu
  allocatedCpu: number
  allocatedMemoryBytes: number
  memory: { totalBytes: number; availableBytes: number }
  disks: Disk[]
}

export interface LocalNode {
  readonly id: string
  status(): NodeStatus
  /** Holds over restarts. Errors: `not_found` when `id` is another node's. */
  setStatus(id: string, status: NodeStatus): Promise<void>
  /** Errors: `not_found` when `id` is given and another node's. */
  describe(id?: string): Promise<NodeDescription>
}

export interface LocalNodeParts {
  store: Store
  machine: Machine
  starts: () => StartCounts
  /** Of this program */
  version: string
  log: Log
}

/** States in which a sandbox has a guest that takes CPU and memory. */
const allocatedStates: readonly SandboxState[] = [
  'creating',
  'running',
  'pausing',
  'resuming',
  'snapshotting',
]

export async function createLocalNode(parts: LocalNodeParts): Promise<LocalNode> {
  const { store, machine, starts, version, log } = parts
  const id = store.instanceId
  const serviceInstanceId = randomUUID()
  let status = await store.nodeStatus.get(id)

  return {
    id,
    status: () => status,

    async setStatus(asked, next) {
      requireSelf(asked)
      await store.nodeStatus.set(id, next)
      if (status !== next) log.info({ status: next }, 'the operator has changed the state of this node')
      status = next
    },

    async describe(asked = id) {
      requireSelf(asked)
      const [running, allocated, disks] = await Promise.all([
        store.sandboxes.count({ states: ['running', 'snapshotting'] }),
        store.sandboxes.usage({ states: allocatedStates }),
        machine.disks(),
      ])
      const memoryMb = allocated.reduce((sum, team) => sum + team.memoryMb, 0)
      return {
        id,
        serviceInstanceId,
        version,
        status,
        sandboxCount: running,
        starts: starts(),
        cpu: machine.cpu(),
        allocatedCpu: allocated.reduce((sum, team) => sum + team.cpuCount, 0),
        allocatedMemoryBytes: memoryMb * 2 ** 20,
        memory: machine.memory(),
        disks,
      }
    },
  }

  function requireSelf(asked: string): void {
    if (asked !== id) throw new ServerError('not_found', `There is no node with id '${asked}'.`)
  }
}
