/**
 * Sandboxes as plain processes of this machine: the agent as an unprivileged child, with a temporary directory as home.
 * There is no isolation and there are no limits; it exists for development and for fast tests, can fail on request
 * (faults.ts), and is only made by a caller who says that this is understood.
 *
 * Guests outlive the server: each is a session of its own, found again by its process number and start time.
 */
import { join } from 'node:path'
import { ServerError, toError } from '../../domain/error.ts'
import type { Egress } from '../../domain/network.ts'
import type { Capabilities, Runtime } from '../../domain/runtime.ts'
import { checkSandboxId } from '../../domain/sandbox-id.ts'
import { abortable } from '../../lib/deadline.ts'
import { createKeyedQueue } from '../../lib/keyed-queue.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import type { Log } from '../../lib/log.ts'
import { type Agent, connectAgent } from './agent-process.ts'
import type { Faults } from './faults.ts'
import { fingerprintProcess } from './fingerprint.ts'
import { createGuestDirs } from './guest-dir.ts'
import { createGuestWatch } from './guest-watch.ts'
import { fromHandle, runtimeName, toHandle } from './handle.ts'
import { createImageStore } from './images.ts'
import type { ProcessParts } from './parts.ts'
import { pauseGuest } from './pause-guest.ts'
import { signalProcess } from './proc-table.ts'
import { recoverGuest } from './recover-guest.ts'
import { resumeGuest } from './resume-guest.ts'
import { snapshotGuest } from './snapshot-guest.ts'
import { removeGuest, startGuest } from './start-guest.ts'
import { guestStats } from './stats.ts'

/** `nobody`: whom agents run as where the server is root */
const nobody = { uid: 65534, gid: 65534 }
/** Longest wait for an agent to accept a connection, in milliseconds */
const connectMs = 1_500

const capabilities: Capabilities = {
  memoryPause: 'resident',
  memorySnapshot: false,
  filesystemSnapshot: true,
  egressPolicy: 'none',
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
  const self = { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 }
  const owner = self.uid === 0 ? nobody : undefined
  const dirs = createGuestDirs(options.instanceId, owner ?? self)
  const images = createImageStore({
    path: join(dirs.root, '.images'),
    prepare: dirs.prepare,
    onRemainder: (error) => log.warn({ err: error }, 'a part of an image is not removed yet'),
  })
  const guests = createGuestWatch()
  const timers = new Set<NodeJS.Timeout>()
  /** What changes a guest that exists, one after another */
  const changes = createKeyedQueue()

  const dieLater = (agent: Agent, afterMs: number) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      void signalProcess(agent, 'SIGKILL')
    }, afterMs)
    timers.add(timer.unref())
  }

  const connect = async (sandboxId: string, signal: AbortSignal) => {
    const bounded = linkSignals([signal], connectMs)
    try {
      return await connectAgent(dirs.agent(sandboxId), bounded.signal)
    } catch (error) {
      signal.throwIfAborted()
      throw new ServerError('unavailable', `Sandbox ${sandboxId} does not answer.`, {
        cause: error,
        errno: (error as NodeJS.ErrnoException).code,
      })
    } finally {
      bounded.dispose()
    }
  }

  /** Runs a change in its turn. The wait for it ends with the signal; the change itself settles when it is over. */
  const inTurn = async <T>(sandboxId: string, signal: AbortSignal, change: () => Promise<T>) => {
    let begin = () => {}
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const result = changes.run(sandboxId, async () => {
      signal.throwIfAborted()
      begin()
      return await change()
    })
    result.catch(() => {})
    await abortable(begun, signal)
    return await result
  }

  const parts: ProcessParts = {
    dirs,
    images,
    guests,
    owner,
    binary: () => dirs.binary(options.guestBinary),
    onStart: (sandboxId, agent) => {
      guests.add(sandboxId, agent, agent.ended)
      if (faults.dieAfterMs !== undefined) dieLater(agent, faults.dieAfterMs)
    },
    copied: new Set(),
    faults,
    log,
  }

  return {
    name: runtimeName,
    capabilities,
    images,
    fingerprint: () => fingerprintProcess(options.guestBinary),

    start: ({ sandboxId, image, egress }, signal) =>
      typed(async () => {
        checkEgress(egress)
        checkSandboxId(sandboxId)
        const { pid, startTicks } = await startGuest(parts, { sandboxId, image }, signal)
        return toHandle({ sandboxId, pid, startTicks })
      }),
    recover: (handle, signal) =>
      typed(() => {
        const guest = fromHandle(handle)
        const answers = async () => void (await connect(guest.sandboxId, signal)).destroy()
        return recoverGuest(parts, guest, { answers, signal })
      }),
    pause: (handle, { memory }, signal) =>
      typed(() => {
        const { sandboxId } = fromHandle(handle)
        return inTurn(sandboxId, signal, () => pauseGuest(parts, { sandboxId, memory }, signal))
      }),
    resume: (handle, signal, { egress } = {}) =>
      typed(async () => {
        checkEgress(egress)
        const guest = fromHandle(handle)
        const { sandboxId } = guest
        const { agent, booted } = await inTurn(sandboxId, signal, () => resumeGuest(parts, guest, signal))
        return { handle: toHandle({ sandboxId, pid: agent.pid, startTicks: agent.startTicks }), booted }
      }),
    setEgress: (_, egress) => typed(async () => checkEgress(egress)),
    snapshot: (handle, image, signal) =>
      typed(() => {
        const { sandboxId } = fromHandle(handle)
        return inTurn(sandboxId, signal, () => snapshotGuest(parts, { sandboxId, image }, signal))
      }),
    connect: (handle, signal) => typed(() => connect(fromHandle(handle).sandboxId, signal)),
    address: (handle) => ({ kind: 'unix', path: dirs.agentSocket(fromHandle(handle).sandboxId) }),
    destroy: (handle, signal) =>
      typed(() => {
        const { sandboxId } = fromHandle(handle)
        return inTurn(sandboxId, signal, async () => {
          guests.drop(sandboxId)
          await removeGuest(sandboxId, dirs, signal)
        })
      }),
    stats: (handle) =>
      typed(() => {
        const { sandboxId, ...agent } = fromHandle(handle)
        return guestStats(agent, dirs.home(sandboxId))
      }),
    list: () =>
      typed(async () => {
        const ids = await dirs.list()
        return Promise.all(
          ids.map(async (sandboxId) => toHandle({ sandboxId, ...(await dirs.readState(sandboxId)) })),
        )
      }),

    watch(listener, signal) {
      if (guests.listen(listener, signal)) return
      throw new ServerError('failed_precondition', 'The runtime is being watched already.')
    },

    async close() {
      guests.close()
      for (const timer of timers) clearTimeout(timer)
      await images.tidy()
      await dirs.tidy()
    },
  }
}

/** Errors: `unimplemented`. */
function checkEgress(egress: Egress | undefined): void {
  if (egress !== 'closed') return
  throw new ServerError(
    'unimplemented',
    'Sandboxes of the process runtime have the network of this machine (capability egressPolicy).',
  )
}

/** Runs a method's body; what it throws becomes an error of the contract. */
async function typed<T>(task: () => T | Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    throw toError(error)
  }
}
