import type { NodeDescription } from '../../control/local-node.ts'
import { clusterId, type NodeBody, type NodeDetailBody } from '../../wire/team.ts'

/** A row of the list of nodes. */
export function presentNode(node: NodeDescription): NodeBody {
  const { cpu, memory } = node
  return {
    id: node.id,
    clusterID: clusterId,
    serviceInstanceID: node.serviceInstanceId,
    version: node.version,
    // Releases are known by their version only.
    commit: '',
    status: node.status,
    sandboxCount: node.sandboxCount,
    sandboxStartingCount: node.starts.underWay,
    createSuccesses: node.starts.succeeded,
    createFails: node.starts.failed,
    machineInfo: {
      cpuArchitecture: cpu.architecture,
      cpuFamily: cpu.family,
      cpuModel: cpu.model,
      cpuModelName: cpu.modelName,
    },
    metrics: {
      allocatedCPU: node.allocatedCpu,
      allocatedMemoryBytes: node.allocatedMemoryBytes,
      cpuCount: cpu.count,
      cpuPercent: cpu.percent,
      memoryTotalBytes: memory.totalBytes,
      memoryUsedBytes: memory.totalBytes - memory.availableBytes,
      disks: node.disks.map(({ mountPoint, device, filesystemType, totalBytes, usedBytes }) => ({
        mountPoint,
        device,
        filesystemType,
        totalBytes,
        usedBytes,
      })),
    },
  }
}

/** One node. There are no builds, so none is cached. */
export function presentNodeDetail(node: NodeDescription): NodeDetailBody {
  return { ...presentNode(node), cachedBuilds: [] }
}
