/**
 * Owns this machine's sandboxes: turns rows into guests through the runtime, keeps the directory of those that take
 * traffic, and is what the edge sends their traffic to. Keeps nothing that a restart would miss: the store's handles
 * and the runtime say all.
 */
import { ServerError } from '../domain/error.ts'
import type { SandboxDirectory } from '../domain/live-sandbox.ts'
import type { SandboxNode } from '../domain/node.ts'
import type { GuestHandle, GuestSpec, Runtime } from '../domain/runtime.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { SandboxLogSink } from '../domain/sandbox-log.ts'
import type { Envd } from '../envd/envd.ts'
import type { TargetLog } from '../envd/target.ts'
import { configure } from '../guest/configure.ts'
import type { Guest } from '../guest/guest.ts'
import { metrics } from '../guest/metrics.ts'
import { anySignal } from '../lib/deadline.ts'
import type { Log } from '../lib/log.ts'
import { createSemaphore } from '../lib/semaphore.ts'
import { createLiveSandbox, type LiveEntry } from './live-sandbox.ts'

export interface ManagerParts {
  runtime: Runtime
  envd: Envd
  log: Log
  /** Where what processes do is written down; absent: nowhere */
  logs?: SandboxLogSink
  /** User that commands and files belong to when a request names none */
  defaultUser: string
}

/** How long a fresh agent may take to accept its configuration, in ms. */
const configureTimeoutMs = 10_000
/** Processes of one sandbox without a client that are followed at once, for its log. */
const followersMax = 16
/** How long undoing a failed start or boot may take, in ms. */
const undoMs = 30_000

export function createManager({
  runtime,
  envd,
  log,
  logs,
  defaultUser,
}: ManagerParts): SandboxNode & SandboxDirectory {
  const live = new Map<string, LiveEntry>()

  return {
    runtime: runtime.name,
    capabilities: runtime.capabilities,
    images: runtime.images,
    find: (id) => live.get(id)?.sandbox,
    *all() {
      for (const { sandbox } of live.values()) yield sandbox
    },

    async start(sandbox, { signal, phase }) {
      const handle = await runtime.start(specOf(sandbox), signal)
      phase('start')
      try {
        await configureGuest(sandbox, guestOf(handle), signal)
        phase('configure')
        return handle
      } catch (error) {
        await runtime.destroy(handle, AbortSignal.timeout(undoMs)).catch((failure) => {
          log.warn({ sandboxId: sandbox.id, err: failure }, 'a failed start left a guest to reconciliation')
        })
        throw error
      }
    },

    admit(sandbox, { fresh = false } = {}) {
      if (sandbox.handle === null || live.has(sandbox.id)) return
      live.set(
        sandbox.id,
        createLiveSandbox(sandbox, { guest: guestOf(sandbox.handle), envd, fresh, ...logOf(sandbox) }),
      )
    },

    withdraw(id) {
      const entry = live.get(id)
      if (entry === undefined) return
      // First unknown, then cut: a client whose stream breaks asks at once whether the sandbox still runs.
      live.delete(id)
      entry.end()
    },

    async resume(sandbox, { signal, phase }) {
      const { handle: known } = sandbox
      if (known === null) throw new ServerError('not_found', `Sandbox "${sandbox.id}" has no guest.`)
      const { handle, booted } = await runtime.resume(known, signal)
      phase('resume')
      if (!booted) return { handle, booted }
      try {
        await configureGuest(sandbox, guestOf(handle), signal)
        phase('configure')
        return { handle, booted }
      } catch (error) {
        // Without its settings it must not be taken for a guest that runs: back to its file system alone.
        await runtime.pause(handle, { memory: false }, AbortSignal.timeout(undoMs)).catch((failure) => {
          log.warn({ sandboxId: sandbox.id, err: failure }, 'a failed boot is left to reconciliation')
        })
        throw error
      }
    },

    recover: (handle, signal) => runtime.recover(handle, signal),
    pause: (handle, options, signal) => runtime.pause(handle, options, signal),
    snapshot: (handle, image, signal) => runtime.snapshot(handle, image, signal),
    sample: (handle, signal) => metrics(guestOf(handle), signal),
    destroy: (handle, signal) => runtime.destroy(handle, signal),
    guests: (signal) => runtime.list(signal),
  }

  function logOf({ id: sandboxId, teamId }: Sandbox): { log?: TargetLog } {
    if (logs === undefined) return {}
    const followers = createSemaphore(followersMax)
    return { log: { followers, write: (entry) => logs.write({ ...entry, sandboxId, teamId }) } }
  }

  function guestOf(handle: GuestHandle): Guest {
    return { connect: (signal) => runtime.connect(handle, signal) }
  }

  async function configureGuest(sandbox: Sandbox, guest: Guest, signal: AbortSignal): Promise<void> {
    await configure(
      guest,
      {
        env: sandbox.envVars,
        user: defaultUser,
        sandboxId: sandbox.id,
        templateId: sandbox.templateId,
      },
      anySignal(signal, AbortSignal.timeout(configureTimeoutMs)),
    )
  }
}

function specOf(sandbox: Sandbox): GuestSpec {
  return {
    sandboxId: sandbox.id,
    image: sandbox.image,
    cpuCount: sandbox.cpuCount,
    memoryMb: sandbox.memoryMb,
    diskMb: sandbox.diskMb,
    hostname: 'e2b.local',
  }
}
