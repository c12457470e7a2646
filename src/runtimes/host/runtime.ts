/**
 * Runtimes without an engine: a privileged helper (`spec/host.md`) makes their sandboxes, and holds all there is to know of them. What
 * images are is the server's. What keeps sandboxes apart is the one thing in which these runtimes differ.
 */
import { totalmem } from 'node:os'
import { ServerError, toError } from '../../domain/error.ts'
import type { LayeredImages, LayerHost } from '../../domain/layers.ts'
import type { Egress } from '../../domain/network.ts'
import type { Capabilities, GuestHandle, GuestSpec, Runtime } from '../../domain/runtime.ts'
import { checkSandboxId } from '../../domain/sandbox-id.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import type { Log } from '../../lib/log.ts'
import { patientSignal } from '../../lib/patience.ts'
import { pidsLimit, tasksMax } from '../../lib/pids-limit.ts'
import { createSemaphore } from '../../lib/semaphore.ts'
import { hostResolvers } from '../../network/resolvers.ts'
import { boundsFor } from '../../network/rules.ts'
import { trackedMax } from '../../network/tracked-max.ts'
import type { Agents } from './agents.ts'
import { listOf, wholeOf } from './answers.ts'
import { getGuest } from './find-guest.ts'
import { type DiskLimit, fingerprintHost } from './fingerprint.ts'
import { fromHandle, toHandle } from './handle.ts'
import { createHostClient, type HostClient } from './host-client.ts'
import type { HostProgram } from './host-process.ts'
import { watchHost } from './host-watch.ts'
import { createLayerHost } from './layer-host.ts'
import { recoverGuest } from './recover-guest.ts'
import { snapshotGuest } from './snapshot-guest.ts'

const capabilities = {
  memoryPause: 'resident',
  memorySnapshot: false,
  filesystemSnapshot: true,
  egressPolicy: 'switch',
  resourceLimits: true,
  isolation: true,
} as const

/** Snapshots that are made at once: each reads and writes whole file systems */
const copiesMax = 2
/** The kernel mounts 500 and more; each is looked into for every name that isn't there */
const layersMax = 100
/** Longest time for undoing a failed start, in milliseconds */
const undoMs = 5_000

/** What one of these runtimes is. */
export interface HostKind {
  name: string
  /** What `start` says of how sandboxes are kept apart */
  asks: Record<string, string>
  /** Features of the helper that it needs beside those that all need */
  needs: readonly string[]
  /** What a fingerprint says of it, in a sentence */
  detail: string
  /** What holds guests in beside what all have */
  isolation: Record<string, boolean>
  /** Ways to agents, by the helper's directory */
  agents: (root: string) => Agents
}

export interface HostRuntimeOptions {
  /** The helper's directory */
  root: string
  /** How the helper is started; absent: others do that */
  program?: HostProgram
  /** Whether the helper is a server's that this is none of: it is not told what sandboxes may reach. Default: no */
  isGuest?: boolean
  /** PATH of a helper that is started here */
  path: string
  /** Made of what the helper does with layers */
  images: (layers: LayerHost) => LayeredImages
  /** What sandboxes may reach: all that this machine does, or the internet and these ranges */
  egress: { open: boolean; allow: readonly string[] }
  /** Whether `diskMb` is enforced, where the machine's helper can; `auto`: as the fingerprint finds. Default: no */
  limitDisk?: DiskLimit
  /** A directory on the disk that sandboxes are to be kept on; default: `root` */
  disk?: string
  /** Layers that an image has at most before a snapshot of it is made one; default: 100 */
  layersMax?: number
  log: Log
}

/** Touches nothing until it is used. */
export function createHostRuntime(kind: HostKind, options: HostRuntimeOptions): Runtime {
  const { name } = kind
  const { root, program, path, egress, limitDisk = false, log } = options
  const client = createHostClient({
    ...{ root, path, log },
    ...(program !== undefined && { program }),
    isGuest: options.isGuest ?? false,
    network: async () => ({
      ...egress,
      resolvers: await hostResolvers(),
      bounds: boundsFor(await trackedMax()),
    }),
  })
  const layers = createLayerHost(root, client)
  const images = options.images(layers)
  const agents = kind.agents(root)
  const copies = createSemaphore(copiesMax)
  const snapshots = { client, layers, images, layersMax: options.layersMax ?? layersMax, log }
  const tasks = tasksMax()
  const closing = new AbortController()
  let watched = false
  let limits = limitDisk === true

  const simple = (op: string, handle: GuestHandle, signal: AbortSignal, more = {}) =>
    typed(async () => {
      const sandbox = fromHandle(name, handle)
      return await client.call(op, { sandbox, ...more }, signal)
    })

  return {
    name,
    get capabilities() {
      return { ...capabilities, diskLimit: limits } satisfies Capabilities
    },
    images,
    async fingerprint(signal) {
      const found = await fingerprintHost(kind, { client, disk: options.disk ?? root, limitDisk }, signal)
      if (limitDisk === 'auto') limits = found.usable && found.sharedDisk === undefined
      return found
    },

    start: (spec, signal, phase) =>
      typed(async () => {
        checkSandboxId(spec.sandboxId)
        const made = await images.layersOf(spec.image, signal)
        await client.prepare(signal)
        phase?.('network')
        const held = limits ? spec : { ...spec, diskMb: 0 }
        await startGuest(client, held, { asks: kind.asks, layers: made, tasks: await tasks }, signal)
        phase?.('start')
        return toHandle(name, spec.sandboxId)
      }),
    recover: (handle, signal) =>
      typed(() => recoverGuest({ client, agents, log }, fromHandle(name, handle), signal)),
    pause: (handle, { memory }, signal) =>
      typed(async () => {
        const sandbox = fromHandle(name, handle)
        signal.throwIfAborted()
        if (memory && (await freezeGuest(client, sandbox, signal))) return { memory: true }
        await client.call('stop', { sandbox }, signal)
        return { memory: false }
      }),
    resume: (handle, signal, { egress } = {}) =>
      typed(async () => ({
        handle,
        booted: await resumeGuest(client, fromHandle(name, handle), egress, signal),
      })),
    setEgress: async (handle, egress, signal) =>
      void (await simple('set-egress', handle, signal, { egress })),
    snapshot: (handle, image, signal, { brief = false } = {}) =>
      typed(async () => {
        const sandboxId = fromHandle(name, handle)
        const release = await copies.acquire(signal)
        await snapshotGuest(snapshots, { sandboxId, image, brief }, signal).finally(release)
      }),
    connect: (handle, signal) => typed(async () => agents.connect(fromHandle(name, handle), signal)),
    address: (handle) => agents.address(fromHandle(name, handle)),
    destroy: async (handle, signal) => void (await simple('kill', handle, signal)),
    async stats(handle, signal) {
      const used = await simple('stats', handle, signal).catch((error: ServerError) => {
        // As of one that isn't there.
        if (error.code !== 'failed_precondition') throw error
        throw new ServerError('not_found', 'The sandbox is not running.', { cause: error })
      })
      return {
        memoryBytes: wholeOf(used, 'memoryBytes'),
        cpuMicros: wholeOf(used, 'cpuMicros'),
        pids: wholeOf(used, 'pids'),
      }
    },
    list: (signal) =>
      typed(async () =>
        (await listOf(client.call, { op: 'list', name: 'sandboxes' }, signal)).map((id) =>
          toHandle(name, id),
        ),
      ),

    watch(listener, signal) {
      if (watched) throw new ServerError('failed_precondition', 'The runtime is being watched already.')
      watched = true
      const until = linkSignals([signal, closing.signal])
      until.signal.addEventListener('abort', () => (watched = false), { once: true })
      void watchHost({ client, listener, log }, until.signal).finally(until.dispose)
    },

    async close() {
      closing.abort()
      await images.close()
      await client.close()
    },
  }
}

/** Starts a guest, or leaves nothing. Errors: `conflict`, and those of `Runtime.start`. */
async function startGuest(
  client: HostClient,
  { sandboxId, image, cpuCount, memoryMb, diskMb, hostname, egress }: GuestSpec,
  { asks, layers, tasks }: { asks: HostKind['asks']; layers: readonly string[]; tasks: number },
  signal: AbortSignal,
): Promise<void> {
  const machineMemoryMb = Math.floor(totalmem() / 2 ** 20)
  const pids = pidsLimit({ tasks, memoryMb, machineMemoryMb })
  const limits = { cpuCount, memoryMb, diskMb, pids }
  const request = { ...asks, sandbox: sandboxId, layers, hostname, ...limits, egress, note: image }
  try {
    await client.call('start', request, signal)
  } catch (error) {
    // The helper has undone what it says has failed; what it didn't say anything of may be there.
    const isKnown = error instanceof ServerError && error.code !== 'unavailable'
    if (!isKnown) await client.call('kill', { sandbox: sandboxId }, patientSignal(undoMs)).catch(() => {})
    throw error
  }
}

/** False where it has no processes any more, and so none to freeze. */
async function freezeGuest(client: HostClient, sandbox: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.call('freeze', { sandbox }, signal)
    return true
  } catch (error) {
    const isRefused = error instanceof ServerError && error.code === 'failed_precondition'
    if (!isRefused || (await getGuest(client, sandbox, signal)).state !== 'stopped') throw error
    return false
  }
}

/** Makes a guest run; whether it was booted for that. Errors as `Runtime.resume`. */
async function resumeGuest(
  client: HostClient,
  sandboxId: string,
  egress: Egress | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const sandbox = sandboxId
  try {
    await client.call('thaw', { sandbox, ...(egress !== undefined && { egress }) }, signal)
    return false
  } catch (error) {
    if (toError(error).code !== 'failed_precondition') throw error
  }
  const { state } = await getGuest(client, sandboxId, signal)
  if (state !== 'stopped')
    throw new ServerError('unavailable', `Sandbox ${sandboxId} has no agent that answers.`)
  await client.prepare(signal)
  await client.call('boot', { sandbox, egress: egress ?? 'open' }, signal)
  return true
}

/** Runs a method's body; what it throws becomes an error of the contract. */
async function typed<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    throw toError(error)
  }
}
