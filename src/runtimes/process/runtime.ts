/**
 * Sandboxes as plain processes of this machine: the agent as an unprivileged child, with a temporary directory as home.
 * There is no isolation and there are no limits; it exists for development and for fast tests, can fail on request
 * (faults.ts), and is only made by a caller who says that this is understood.
 *
 * Guests outlive the server: each is a session of its own, found again by its process number and start time.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ServerError, toError } from '../../domain/error.ts'
import type { Capabilities, GuestSpec, Images, Runtime, RuntimeEvent } from '../../domain/runtime.ts'
import { checkSandboxId } from '../../domain/sandbox-id.ts'
import type { Log } from '../../lib/log.ts'
import { awaitAgent, connectAgent, killGuest, spawnAgent } from './agent-process.ts'
import type { Faults } from './faults.ts'
import { fingerprintProcess } from './fingerprint.ts'
import { createGuestDirs } from './guest-dir.ts'
import { fromHandle, type ProcessId, runtimeName, toHandle } from './handle.ts'
import { findProcess, guestProcesses, isAlive, residentBytes, signalProcess } from './proc-table.ts'

/** The one image there is: this machine's own file system */
const onlyImage = 'none'
/** `nobody`: whom agents run as where the server is root */
const nobody = { uid: 65534, gid: 65534 }
/** Longest time from the agent's start to its first answer, in milliseconds */
const readyMs = 10_000
/** Longest time for undoing a failed start, in milliseconds */
const undoMs = 10_000
/** Longest wait for an agent to accept a connection, in milliseconds */
const connectMs = 1_500
/** Pause between looks after guests that aren't children of this process, in milliseconds */
const lookMs = 200

const capabilities: Capabilities = {
  memoryPause: 'none',
  memorySnapshot: false,
  filesystemSnapshot: false,
  egressPolicy: false,
  diskLimit: false,
  resourceLimits: false,
  isolation: false,
}

export interface ProcessRuntimeOptions {
  /** Path of the agent on this machine */
  guestBinary: string
  /** The server's id (`Store.instanceId`): guests below its directory are ours */
  instanceId: string
  /** That sandboxes can do here whatever the agent's user can */
  acknowledgeNoIsolation: boolean
  faults?: Faults
  log: Log
}

/** Touches nothing until it is used. Errors: `failed_precondition` without the acknowledgement. */
export function createProcessRuntime(options: ProcessRuntimeOptions): Runtime {
  if (!options.acknowledgeNoIsolation) {
    throw new ServerError(
      'failed_precondition',
      'The process runtime has no isolation and must be asked for by name.',
    )
  }
  const { faults = {}, log } = options
  const owner = process.getuid?.() === 0 ? nobody : undefined
  const dirs = createGuestDirs(
    options.instanceId,
    owner ?? { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 },
  )
  /** Guests that were announced and not destroyed */
  const known = new Map<string, ProcessId>()
  const timers = new Set<NodeJS.Timeout>()
  let listener: ((event: RuntimeEvent) => void) | undefined

  /** Reports a guest that has ended without having been asked to, once. */
  const look = async (sandboxId: string, agent: ProcessId) => {
    if (listener === undefined || (await isAlive(agent)) || known.get(sandboxId) !== agent) return
    known.delete(sandboxId)
    listener({ type: 'guest-gone', sandboxId })
  }

  const remove = async (sandboxId: string, signal: AbortSignal) => {
    known.delete(sandboxId)
    await killGuest(await dirs.readState(sandboxId), dirs.home(sandboxId), signal)
    await dirs.remove(sandboxId, signal)
  }

  const launch = async (sandboxId: string, signal: AbortSignal) => {
    await dirs.create(sandboxId)
    try {
      if (faults.diskFull) await dirs.shrinkDisk(sandboxId)
      if (faults.startDelayMs) await delay(faults.startDelayMs, undefined, { signal })
      const agent = await spawnAgent({
        binary: await dirs.binary(options.guestBinary),
        sandboxId,
        dirs,
        owner,
      })
      await dirs.writeState(sandboxId, agent)
      if (faults.failStart)
        throw new ServerError('internal', 'The sandbox could not be started (requested fault).')
      await untilReady(agent.ended, dirs.agent(sandboxId), signal)
      return agent
    } catch (error) {
      await remove(sandboxId, AbortSignal.timeout(undoMs)).catch((cause) =>
        log.warn({ err: cause, sandboxId }, 'a failed start is not undone yet'),
      )
      throw signal.aborted ? signal.reason : error
    }
  }

  const start = async (spec: GuestSpec, signal: AbortSignal) => {
    const sandboxId = checkSandboxId(spec.sandboxId)
    if (spec.image !== onlyImage) throw imageNotFound(spec.image)
    signal.throwIfAborted()
    const agent = await launch(sandboxId, signal)
    known.set(sandboxId, agent)
    void agent.ended.then(() => look(sandboxId, agent))
    if (faults.dieAfterMs !== undefined) {
      const timer = setTimeout(() => {
        timers.delete(timer)
        void signalProcess(agent, 'SIGKILL')
      }, faults.dieAfterMs)
      timers.add(timer.unref())
    }
    return toHandle({ sandboxId, pid: agent.pid, startTicks: agent.startTicks })
  }

  const connect = async (sandboxId: string, signal: AbortSignal) => {
    try {
      return await connectAgent(
        dirs.agent(sandboxId),
        AbortSignal.any([signal, AbortSignal.timeout(connectMs)]),
      )
    } catch (error) {
      signal.throwIfAborted()
      throw new ServerError('unavailable', `Sandbox ${sandboxId} does not answer.`, {
        cause: error,
        errno: (error as NodeJS.ErrnoException).code,
      })
    }
  }

  return {
    name: runtimeName,
    capabilities,
    images,
    fingerprint: () => fingerprintProcess(options.guestBinary),
    start: (spec, signal) => typed(start(spec, signal)),
    connect: async (handle, signal) => typed(connect(fromHandle(handle).sandboxId, signal)),
    destroy: async (handle, signal) => typed(remove(fromHandle(handle).sandboxId, signal)),

    async recover(handle, signal) {
      const { sandboxId, pid, startTicks } = fromHandle(handle)
      if (!(await isAlive({ pid, startTicks }))) return 'gone'
      try {
        ;(await connect(sandboxId, signal)).destroy()
      } catch (error) {
        if (signal.aborted) throw toError(signal.reason)
        log.warn({ err: error, sandboxId }, 'an agent lives, but does not answer')
        return 'gone'
      }
      if (!known.has(sandboxId)) known.set(sandboxId, { pid, startTicks })
      return 'running'
    },

    async stats(handle) {
      const { sandboxId, ...agent } = fromHandle(handle)
      const found = (await isAlive(agent)) ? await findProcess(agent.pid) : undefined
      if (found === undefined) throw new ServerError('not_found', 'The sandbox is not running.')
      const members = await guestProcesses(agent.pid, dirs.home(sandboxId))
      const memory = await Promise.all(members.map(({ pid }) => residentBytes(pid)))
      return {
        memoryBytes: memory.reduce((sum, bytes) => sum + bytes, 0),
        cpuMicros: members.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
        pids: members.length,
      }
    },

    async list() {
      const ids = await dirs.list()
      return await Promise.all(
        ids.map(async (sandboxId) => toHandle({ sandboxId, ...(await dirs.readState(sandboxId)) })),
      )
    },

    watch(report, signal) {
      if (listener !== undefined)
        throw new ServerError('failed_precondition', 'The runtime is being watched already.')
      if (signal.aborted) return
      listener = report
      const timer = setInterval(() => {
        for (const [sandboxId, agent] of known) void look(sandboxId, agent)
      }, lookMs).unref()
      signal.addEventListener(
        'abort',
        () => {
          clearInterval(timer)
          listener = undefined
        },
        { once: true },
      )
    },

    async close() {
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

async function untilReady(ended: Promise<string>, directory: string, signal: AbortSignal): Promise<void> {
  const settled = new AbortController()
  const timeout = AbortSignal.timeout(readyMs)
  const died = ended.then((how) => {
    throw new ServerError('internal', `The sandbox's agent ended at once: ${how}.`)
  })
  try {
    await Promise.race([awaitAgent(directory, AbortSignal.any([signal, timeout, settled.signal])), died])
  } catch (error) {
    if (signal.aborted || !timeout.aborted) throw error
    throw new ServerError('internal', `The sandbox's agent did not answer within ${readyMs / 1000} s.`, {
      cause: error,
    })
  } finally {
    settled.abort()
    died.catch(() => {})
  }
}

const images: Images = {
  has: async (image) => image === onlyImage,
  async pull(image) {
    if (image !== onlyImage) throw imageNotFound(image)
  },
  async remove(image) {
    if (image === onlyImage)
      throw new ServerError('failed_precondition', "This machine's own file system can't be removed.")
  },
  async size(image) {
    if (image !== onlyImage) throw imageNotFound(image)
    return 0
  },
}

function imageNotFound(image: string): ServerError {
  return new ServerError('not_found', `The process runtime has no images: ${image} must be ${onlyImage}.`)
}

/** What a method's body throws becomes an error of the contract. */
async function typed<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    throw toError(error)
  }
}
