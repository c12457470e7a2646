/** What a sandbox's container is made of. */
import { createHash } from 'node:crypto'
import type { ContainerCreateOptions, MountSettings } from 'dockerode'
import { ServerError } from '../../domain/error.ts'
import type { GuestSpec } from '../../domain/runtime.ts'
import type { Confinement } from './confinement.ts'
import type { TransportName } from './handle.ts'
import { guestFolder, type TransportPart } from './transport.ts'

const mebibyte = 2 ** 20
/** Length of a CPU accounting period, in microseconds: the kernel's own default */
const cpuPeriodMicros = 100_000
/** The weight of one of its CPUs: a service of the machine, as the server with its workers, has 1024, under systemd 2600. */
const cpuSharesEach = 64
/** Smallest memory limit that the engine accepts, in MiB */
const memoryMinMb = 6
/** Part of a sandbox's memory that may be in /dev/shm, as Linux has it on any machine */
const sharedMemoryShare = 1 / 2
/** Under memory pressure the kernel takes a sandbox before the host's services, its processes (100) before the agent */
const oomScoreAdj = 50

export const instanceLabel = 'e2b-server.instance'
export const sandboxLabel = 'e2b-server.sandbox'
/** CPUs that it has, such as `0,5`; '' is all */
export const cpusLabel = 'e2b-server.cpus'
export const transportLabel = 'e2b-server.transport'
/** Of an image that is a snapshot: the name it was made under */
export const snapshotLabel = 'e2b-server.snapshot'
/** Of an image that is kept for every server: its name, and what its maker says of it */
export const keptLabel = 'e2b-server.kept'
export const noteLabel = 'e2b-server.note'

/** First characters of the server's own id: enough to tell servers on one engine apart in names. */
export function instancePrefix(instanceId: string): string {
  return instanceId
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .slice(0, 12)
}

/**
 * A sandbox's container has one possible name, so that it is found also when its creation was interrupted. It has a
 * hash of the id and not the id: the engine's DNS tells every sandbox the names of its neighbours, and an id is what
 * their ports are reached by.
 */
export function containerName(instanceId: string, sandboxId: string): string {
  const hash = createHash('sha256').update(sandboxId).digest('hex').slice(0, 24)
  return `e2b-${instancePrefix(instanceId)}-${hash}`
}

/** Errors: `invalid_argument`. */
export function checkSpec({ cpuCount, memoryMb, hostname }: GuestSpec): void {
  if (!(cpuCount > 0 && cpuCount <= 1024)) {
    throw new ServerError('invalid_argument', 'The number of CPUs must be above 0 and at most 1024.')
  }
  if (!(Number.isInteger(memoryMb) && memoryMb >= memoryMinMb && memoryMb <= 2 ** 24)) {
    throw new ServerError(
      'invalid_argument',
      `The memory must be a whole number of MiB, at least ${memoryMinMb}.`,
    )
  }
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$/.test(hostname)) {
    throw new ServerError(
      'invalid_argument',
      'The host name must be 1 to 63 letters, digits, dashes and dots.',
    )
  }
}

/**
 * The engine's description of a container. The agent is process 1 whatever the image says.
 *
 * Capabilities are the engine's defaults but for raw sockets: with those a sandbox could answer ARP for its neighbours
 * on the bridge and read their traffic.
 * CPU is a quota and not `NanoCpus`, because the engine refuses the latter when the machine has fewer CPUs. Where there is
 * not enough for all, sandboxes share by their CPUs, and the server comes before them.
 */
export function containerOptions(options: {
  spec: GuestSpec
  instanceId: string
  network: string
  guestBinary: string
  transport: TransportName
  part: TransportPart
  confinement: Confinement
  /** CPUs that it has, such as `0,5`, or '' for all */
  cpus: string
}): ContainerCreateOptions {
  const { spec, instanceId, part, confinement } = options
  const agent: MountSettings = {
    Type: 'bind',
    Source: options.guestBinary,
    Target: `${guestFolder}/agent`,
    ReadOnly: true,
  }
  const memory = spec.memoryMb * mebibyte
  return {
    Image: spec.image,
    Entrypoint: [`${guestFolder}/agent`, ...part.args],
    Cmd: [],
    User: '0:0',
    WorkingDir: '/',
    Hostname: spec.hostname,
    // The image's own check would be a process that nobody asked for.
    Healthcheck: { Test: ['NONE'] },
    ExposedPorts: Object.fromEntries(Object.keys(part.portBindings).map((port) => [port, {}])),
    Labels: {
      [instanceLabel]: instanceId,
      [sandboxLabel]: spec.sandboxId,
      [transportLabel]: options.transport,
      [cpusLabel]: options.cpus,
      // An image that is a snapshot has it, and a container isn't one.
      [snapshotLabel]: '',
    },
    HostConfig: {
      Mounts: [agent, ...part.mounts],
      PortBindings: part.portBindings,
      NetworkMode: options.network,
      CpuPeriod: cpuPeriodMicros,
      CpuQuota: Math.max(1000, Math.round(spec.cpuCount * cpuPeriodMicros)),
      CpuShares: Math.max(2, Math.round(spec.cpuCount * cpuSharesEach)),
      CpusetCpus: options.cpus,
      Memory: memory,
      MemorySwap: memory,
      ShmSize: Math.floor(memory * sharedMemoryShare),
      PidsLimit: confinement.pidsLimit,
      OomScoreAdj: oomScoreAdj,
      CapDrop: ['NET_RAW'],
      SecurityOpt: confinement.securityOptions,
      Sysctls: confinement.sysctls,
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      Init: false,
    },
  }
}
