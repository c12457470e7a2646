/**
 * Sandboxes as containers of a Docker engine on this machine. Containers and the network carry the server's id as a
 * label, so several servers share an engine without touching each other's.
 */
import { availableParallelism } from 'node:os'
import { ServerError, toError } from '../../domain/error.ts'
import type { Capabilities, Runtime } from '../../domain/runtime.ts'
import { checkSandboxId } from '../../domain/sandbox-id.ts'
import type { RegistryChoice } from '../../images/registry-choice.ts'
import { ecrEndpoint } from '../../images/registry-login.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import type { Log } from '../../lib/log.ts'
import { createSemaphore, type Semaphore } from '../../lib/semaphore.ts'
import { checkSpec, containerName } from './container.ts'
import { createCpuSets } from './cpu-sets.ts'
import { createEgressSwitch } from './egress-switch.ts'
import { createEngine } from './engine.ts'
import { createEngineHost } from './engine-host.ts'
import { watchEngine } from './engine-watch.ts'
import { createExpectedEnds } from './expected-ends.ts'
import { fingerprintDocker } from './fingerprint.ts'
import { createFirewall, type EgressChoice } from './firewall.ts'
import { createFreezer } from './freezer.ts'
import { fromHandle, runtimeName, type TransportName, toHandle } from './handle.ts'
import { createImages } from './images.ts'
import { listGuests } from './list-guests.ts'
import { createMemoryReclaim } from './memory-reclaim.ts'
import { createInstanceNetwork, keepClosed } from './network.ts'
import type { DockerParts } from './parts.ts'
import { pauseGuest } from './pause-guest.ts'
import { recoverGuest } from './recover-guest.ts'
import { removeGuest } from './remove-guest.ts'
import { resumeGuest } from './resume-guest.ts'
import { createRunDirs } from './run-dir.ts'
import { createRunMounts } from './run-mounts.ts'
import { snapshotGuest } from './snapshot-guest.ts'
import { enginePath } from './socket-path.ts'
import { startGuest } from './start-guest.ts'
import { containerStats } from './stats.ts'
import { createTransports } from './transports.ts'
import { createViews } from './views.ts'

const capabilities: Capabilities = {
  memoryPause: 'resident',
  memorySnapshot: false,
  filesystemSnapshot: true,
  egressPolicy: 'switch',
  diskLimit: false,
  resourceLimits: true,
  isolation: true,
}

/** Snapshots that are made at once: each reads and writes whole file systems. */
const copiesMax = 2

/** The engine takes about 125 layers, and pulls an image's in no time; beyond this a snapshot copies all of them. */
const layersMax = 100

export interface DockerRuntimeOptions {
  /** Value of DOCKER_HOST: `unix:///path`. Absent: the engine's usual socket */
  dockerHost?: string
  /** The server's directory; guests have theirs in `run/` below it */
  stateDir: string
  /** Path of the agent on the host */
  guestBinary: string
  /** Path of the helper on the host, which does what Node.js can't */
  hostBinary: string
  /** The server's id (`Store.instanceId`): what carries it as a label is ours */
  instanceId: string
  transport: 'auto' | TransportName
  /** Default: closed, with nothing opened */
  egress?: EgressChoice
  /** Layers below a snapshot that make it flattened; default: 100 */
  layersMax?: number
  /** Default: every registry, as names say */
  registries?: Partial<RegistryChoice>
  /** Containers that are started at once; more only share the engine's time. Default: twice the CPUs, at least 4 */
  startConcurrency?: number
  log: Log
}

/** Touches nothing until it is used. Errors: `invalid_argument` for an engine that isn't on this machine. */
export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  const { instanceId, guestBinary, hostBinary, log } = options
  const engine = createEngine({ socketPath: enginePath(options.dockerHost), log })
  const engineHost = createEngineHost(engine)
  const egress = options.egress ?? { open: false, allow: [] }
  const network = createInstanceNetwork(engine, instanceId, createFirewall(instanceId, egress, engineHost))
  const mounts = createRunMounts({ engine, engineHost, hostBinary, log })
  const dirs = createRunDirs(options.stateDir, mounts)
  const transports = createTransports(engineHost, mounts, options.transport)
  const ends = createExpectedEnds()
  const views = createViews({ engine, engineHost, hostBinary, instanceId, log })
  const cpuSets = createCpuSets({ engine, engineHost, instanceId })
  const reclaim = createMemoryReclaim({ engineHost, log })
  const slots = createSemaphore(options.startConcurrency ?? Math.max(4, 2 * availableParallelism()))
  // A freeze takes the engine a process or two: fifty at once would keep it from answering anything else.
  const changes = createSemaphore(Math.max(4, 2 * availableParallelism()))
  const copies = createSemaphore(copiesMax)
  const inTurn = async <T>(turns: Semaphore, signal: AbortSignal, task: () => Promise<T>): Promise<T> => {
    const release = await turns.acquire(signal)
    try {
      return await task()
    } finally {
      release()
    }
  }
  const parts: DockerParts = {
    engine,
    engineHost,
    instanceId,
    guestBinary,
    hostBinary,
    cpuSets,
    network,
    dirs,
    transports,
    ends,
    egress: createEgressSwitch({ engine, engineHost, instanceId, hostBinary }),
    views,
    reclaim,
    freezer: createFreezer({ engineHost }),
    slots,
    layersMax: options.layersMax ?? layersMax,
    log,
  }
  const closing = new AbortController()
  let watched = false

  return {
    name: runtimeName,
    capabilities,
    images: createImages(parts, {
      offline: false,
      allow: [],
      ecrEndpoint,
      ...options.registries,
    }),
    fingerprint: (signal) => fingerprintDocker(engine, mounts, guestBinary, signal),

    start: (spec, signal, phase) =>
      typed(async () => {
        checkSpec(spec)
        checkSandboxId(spec.sandboxId)
        const { id: engineId } = await engineHost.info(signal)
        return inTurn(slots, signal, async () =>
          toHandle({ ...(await startGuest(parts, spec, { signal, phase })), engine: engineId }),
        )
      }),
    recover: (handle, signal) => typed(() => recoverGuest(parts, fromHandle(handle), signal)),
    pause: (handle, how, signal) =>
      typed(() => inTurn(changes, signal, () => pauseGuest(parts, fromHandle(handle), how, signal))),
    resume: (handle, signal, { egress } = {}) =>
      typed(async () => {
        const resumed = () => resumeGuest(parts, fromHandle(handle), egress, signal)
        const { guest, booted } = await inTurn(changes, signal, resumed)
        return { handle: toHandle(guest), booted }
      }),
    setEgress: (handle, egress, signal) => typed(() => parts.egress.set(fromHandle(handle), egress, signal)),
    snapshot: (handle, image, signal) =>
      typed(() => inTurn(copies, signal, () => snapshotGuest(parts, fromHandle(handle), image, signal))),
    connect: (handle, signal) =>
      typed(() => {
        const guest = fromHandle(handle)
        return transports.connect(guest, dirs.path(guest.sandboxId), signal)
      }),
    address(handle) {
      const guest = fromHandle(handle)
      return transports.address(guest, dirs.path(guest.sandboxId))
    },
    destroy: (handle, signal) => typed(() => removeGuest(parts, fromHandle(handle).sandboxId, signal)),
    stats: (handle, signal) =>
      typed(() => containerStats(engine, containerName(instanceId, fromHandle(handle).sandboxId), signal)),
    list: (signal) => typed(async () => (await listGuests(parts, signal)).map(toHandle)),

    watch(listener, signal) {
      if (watched) throw new ServerError('failed_precondition', 'The runtime is being watched already.')
      watched = true
      const until = linkSignals([signal, closing.signal])
      const what = { engine, instanceId, isExpected: ends.has, listener, log }
      void views.begin()
      void keepClosed(network, log, until.signal)
      void watchEngine(what, until.signal).finally(() => {
        until.dispose()
        watched = false
      })
    },

    async close() {
      closing.abort()
      reclaim.close()
      await network.release()
      engine.close()
      await transports.close()
      ends.close()
      await views.close()
    },
  }
}

/** Runs a method's body; what it throws becomes an error of the contract. */
async function typed<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    throw toError(error)
  }
}
