/**
 * Sandboxes as containers of a Docker engine on this machine. Containers and the network carry the server's id as a
 * label, so several servers share an engine without touching each other's.
 */
import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { ServerError, toError } from '../../domain/error.ts'
import type { Capabilities, GuestHandle, GuestSpec, Runtime } from '../../domain/runtime.ts'
import { checkSandboxId, isSandboxId } from '../../domain/sandbox-id.ts'
import { abortable } from '../../lib/deadline.ts'
import type { Log } from '../../lib/log.ts'
import { createSemaphore } from '../../lib/semaphore.ts'
import { checkSpec, containerName, instanceLabel, sandboxLabel, transportLabel } from './container.ts'
import { createEngine, statusOf } from './engine.ts'
import { watchEngine } from './engine-watch.ts'
import { chooseTransport, engineInfo, fingerprintDocker } from './fingerprint.ts'
import { type DockerGuest, fromHandle, runtimeName, type TransportName, toHandle } from './handle.ts'
import { createImages } from './images.ts'
import { createInstanceNetwork } from './network.ts'
import { removeContainer } from './remove-container.ts'
import { createRunDirs } from './run-dir.ts'
import { enginePath } from './socket-path.ts'
import { awaitAgent, launchContainer } from './start-container.ts'
import { containerStats } from './stats.ts'
import { agentPort, createTcpTransport } from './tcp-transport.ts'
import type { Transport } from './transport.ts'
import { createUnixTransport } from './unix-transport.ts'

/** Longest time for undoing a failed start, in milliseconds */
const undoMs = 20_000
/** How long a caller who has given up waits for that, in milliseconds */
const undoWaitMs = 5_000
/** Longest wait for an agent to accept a connection, in milliseconds */
const connectMs = 1_500
/** How long after a removal its events may still come in, in milliseconds */
const lateEventsMs = 60_000

const capabilities: Capabilities = {
  memoryPause: 'none',
  memorySnapshot: false,
  filesystemSnapshot: false,
  egressPolicy: false,
  diskLimit: false,
  resourceLimits: true,
  isolation: true,
}

export interface DockerRuntimeOptions {
  /** Value of DOCKER_HOST: `unix:///path`. Absent: the engine's usual socket */
  dockerHost?: string
  /** The server's directory; guests have theirs in `run/` below it */
  stateDir: string
  /** Path of the agent on the host */
  guestBinary: string
  /** The server's id (`Store.instanceId`): what carries it as a label is ours */
  instanceId: string
  transport: 'auto' | TransportName
  /** Containers that are started at once; more only share the engine's time. Default: twice the CPUs, at least 4 */
  startConcurrency?: number
  log: Log
}

/** Touches nothing until it is used. Errors: `invalid_argument` for an engine that isn't on this machine. */
export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  const { instanceId, guestBinary, log } = options
  const engine = createEngine({ socketPath: enginePath(options.dockerHost), log })
  const images = createImages(engine)
  const network = createInstanceNetwork(engine, instanceId)
  const dirs = createRunDirs(options.stateDir)
  const transports: Record<TransportName, Transport> = {
    unix: createUnixTransport(),
    tcp: createTcpTransport(),
  }
  const slots = createSemaphore(options.startConcurrency ?? Math.max(4, 2 * availableParallelism()))
  /** Guests whose end is no news: not announced yet, or being removed */
  const expected = new Map<string, NodeJS.Timeout | undefined>()
  let chosen: TransportName | undefined = options.transport === 'auto' ? undefined : options.transport
  let watched = false

  const expectEnd = (sandboxId: string) => {
    clearTimeout(expected.get(sandboxId))
    expected.set(sandboxId, undefined)
  }
  const expectNoMore = (sandboxId: string, afterMs: number) => {
    clearTimeout(expected.get(sandboxId))
    expected.set(sandboxId, setTimeout(() => expected.delete(sandboxId), afterMs).unref())
  }

  const transport = async (signal: AbortSignal) => {
    chosen ??= chooseTransport(await engineInfo(engine, signal), {
      platform: process.platform,
      uid: process.getuid?.() ?? -1,
    })
    return transports[chosen]
  }

  const remove = async (sandboxId: string, signal: AbortSignal) => {
    expectEnd(sandboxId)
    try {
      await Promise.all(Object.values(transports).map((each) => each.release(sandboxId)))
      await removeContainer(engine, containerName(instanceId, sandboxId), signal)
      await dirs.remove(sandboxId, signal)
    } finally {
      expectNoMore(sandboxId, lateEventsMs)
    }
  }

  const startIn = async (directory: string, spec: GuestSpec, signal: AbortSignal) => {
    const parts = { engine, instanceId, guestBinary, network, transport: await transport(signal), directory }
    const launched = launchContainer(spec, parts)
    try {
      const guest = await abortable(launched, signal)
      await awaitAgent(guest, parts, signal)
      return guest
    } catch (error) {
      const undone = launched
        .catch(() => {})
        .then(() => remove(spec.sandboxId, AbortSignal.timeout(undoMs)))
        .catch((cause) =>
          log.warn({ err: cause, sandboxId: spec.sandboxId }, 'a failed start is not undone yet'),
        )
      await Promise.race([undone, delay(undoWaitMs, undefined, { ref: false })])
      throw error
    }
  }

  const inspect = (guest: DockerGuest, signal: AbortSignal) =>
    engine.call(signal, async (docker, both) => {
      try {
        return await docker.getContainer(guest.containerId).inspect({ abortSignal: both })
      } catch (error) {
        if (statusOf(error) === 404) return undefined
        throw error
      }
    })

  const open = async (guest: DockerGuest, signal: AbortSignal) => {
    const timeout = AbortSignal.timeout(connectMs)
    try {
      const directory = dirs.path(guest.sandboxId)
      return await transports[guest.transport].connect(guest, directory, AbortSignal.any([signal, timeout]))
    } catch (error) {
      if (signal.aborted || !timeout.aborted) throw error
      throw new ServerError('unavailable', `Sandbox ${guest.sandboxId} does not answer.`, { cause: error })
    }
  }

  return {
    name: runtimeName,
    capabilities,
    images,
    fingerprint: (signal) => fingerprintDocker(engine, guestBinary, signal),

    start: (spec, signal) =>
      typed(async () => {
        checkSpec(spec)
        const sandboxId = checkSandboxId(spec.sandboxId)
        const release = await slots.acquire(signal)
        try {
          await network.ensure(signal)
          const directory = await dirs.create(sandboxId)
          expectEnd(sandboxId)
          const guest = await startIn(directory, spec, signal)
          clearTimeout(expected.get(sandboxId))
          expected.delete(sandboxId)
          return toHandle(guest)
        } finally {
          release()
        }
      }),

    recover: (handle, signal) =>
      typed(async () => {
        const guest = fromHandle(handle)
        const found = guest.containerId === '' ? undefined : await inspect(guest, signal)
        const ours =
          found?.Config.Labels[instanceLabel] === instanceId &&
          found.Config.Labels[sandboxLabel] === guest.sandboxId
        if (!ours || !found.State.Running) return 'gone'
        try {
          ;(await open(guest, signal)).destroy()
          return 'running'
        } catch (error) {
          signal.throwIfAborted()
          log.warn({ err: error, sandboxId: guest.sandboxId }, 'a container runs, but not its agent')
          return 'gone'
        }
      }),

    connect: (handle, signal) => typed(() => open(fromHandle(handle), signal)),
    destroy: (handle, signal) => typed(() => remove(fromHandle(handle).sandboxId, signal)),
    stats: (handle, signal) =>
      typed(() => containerStats(engine, containerName(instanceId, fromHandle(handle).sandboxId), signal)),

    list: (signal) =>
      typed(async () => {
        const filters = { label: [`${instanceLabel}=${instanceId}`] }
        const containers = await engine.call(signal, (docker, both) =>
          docker.listContainers({ all: true, filters, abortSignal: both }),
        )
        const guests = new Map<string, GuestHandle>()
        // A directory without a container is what a crash left of a start or a removal.
        for (const sandboxId of await dirs.list()) {
          guests.set(sandboxId, toHandle({ sandboxId, containerId: '', transport: 'unix', port: 0 }))
        }
        for (const { Id: containerId, Labels: labels, Ports: ports } of containers) {
          const sandboxId = labels[sandboxLabel]
          if (sandboxId === undefined || !isSandboxId(sandboxId)) continue
          const kind = labels[transportLabel] === 'tcp' ? 'tcp' : 'unix'
          const port = ports.find(({ PrivatePort }) => PrivatePort === agentPort)?.PublicPort ?? 0
          guests.set(sandboxId, toHandle({ sandboxId, containerId, transport: kind, port }))
        }
        return [...guests.values()]
      }),

    watch(listener, signal) {
      if (watched) throw new ServerError('failed_precondition', 'The runtime is being watched already.')
      watched = true
      const isExpected = (sandboxId: string) => expected.has(sandboxId)
      void watchEngine({ engine, instanceId, isExpected, listener, log }, signal).finally(() => {
        watched = false
      })
    },

    async close() {
      engine.close()
      await Promise.all(Object.values(transports).map((each) => each.close()))
      for (const timer of expected.values()) clearTimeout(timer)
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
