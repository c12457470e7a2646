/**
 * Owns this machine's sandboxes: turns rows into guests through the runtime and tells whoever carries traffic which of
 * them take some. Keeps nothing that a restart would miss: the store's handles and the runtime say all.
 */

import type { TrafficCarrier } from '../domain/data-plane.ts'
import { ServerError } from '../domain/error.ts'
import { egressOf } from '../domain/network.ts'
import type { SandboxNode, StartOptions } from '../domain/node.ts'
import type { GuestHandle, GuestSpec, Runtime } from '../domain/runtime.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { Guest } from '../guest/guest.ts'
import { metrics } from '../guest/metrics.ts'
import { runStartCommand } from '../guest/start-command.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { configureGuest, hasCommands } from './prepare-guest.ts'
import type { WarmGuests } from './warm-guests.ts'

export interface ManagerParts {
  runtime: Runtime
  warm: WarmGuests
  /** Who brings traffic to the sandboxes */
  carrier: TrafficCarrier
  log: Log
  /** User that commands and files belong to when a request names none */
  defaultUser: string
}

/** How long the agent of a guest that waited may take to accept its configuration, in ms: it has nothing else to do. */
const claimTimeoutMs = 2_000
/** How long undoing a failed start or boot may take, in ms. */
const undoMs = 30_000

export function createManager({ runtime, warm, carrier, log, defaultUser }: ManagerParts): SandboxNode {
  return {
    runtime: runtime.name,
    capabilities: runtime.capabilities,
    images: warm.guard(runtime.images),

    claim: warm.claim,
    putBack: warm.putBack,
    owns: warm.owns,
    retire: warm.retire,
    useClaimed,

    async start(sandbox, options) {
      const { signal, phase } = options
      const handle = await runtime.start(specOf(sandbox), signal, phase)
      phase('agent')
      try {
        await bootGuest(sandbox, guestOf(handle), options)
        return handle
      } catch (error) {
        await undoStart(handle)
        throw error
      }
    },

    admit(sandbox, { fresh = false } = {}) {
      if (sandbox.handle === null) return
      const { id, teamId, envdAccessToken: accessToken, trafficAccessToken, network } = sandbox
      const envVars = environmentOf(sandbox)
      const ingress = {
        trafficAccessToken,
        maskRequestHost: network?.maskRequestHost ?? null,
        httpsPorts: network?.httpsPorts ?? [],
      }
      const agent = runtime.address(sandbox.handle)
      const isIdle = fresh && sandbox.defaults.startCmd === null
      carrier.admit({ id, accessToken, envVars, ingress, agent }, { teamId, fresh: isIdle })
    },
    withdraw: (id) => carrier.withdraw(id),

    async resume(sandbox, options) {
      const { signal, phase } = options
      const { handle: known } = sandbox
      if (known === null) throw new ServerError('not_found', `Sandbox "${sandbox.id}" has no guest.`)
      const { handle, booted } = await runtime.resume(known, signal, { egress: egressOf(sandbox) })
      phase('resume')
      if (!booted) return { handle, booted }
      try {
        await bootGuest(sandbox, guestOf(handle), options)
        return { handle, booted }
      } catch (error) {
        // Without its settings it must not be taken for a guest that runs: back to its file system alone.
        await runtime.pause(handle, { memory: false }, patientSignal(undoMs)).catch((failure) => {
          log.warn({ sandboxId: sandbox.id, err: failure }, 'a failed boot is left to reconciliation')
        })
        throw error
      }
    },

    recover: (handle, signal) => runtime.recover(handle, signal),
    pause: (handle, options, signal) => runtime.pause(handle, options, signal),
    async applyEgress(sandbox, signal) {
      const egress = egressOf(sandbox)
      if (sandbox.handle !== null && egress !== undefined)
        await runtime.setEgress(sandbox.handle, egress, signal)
    },
    snapshot: (handle, image, signal, options) => runtime.snapshot(handle, image, signal, options),
    sample: (handle, signal) => metrics(guestOf(handle), signal),
    destroy: (handle, signal) => runtime.destroy(handle, signal),
    guests: (signal) => runtime.list(signal),
  }

  function guestOf(handle: GuestHandle): Guest {
    return { connect: (signal) => runtime.connect(handle, signal) }
  }

  async function useClaimed(
    sandbox: Sandbox,
    { signal, phase, onUp }: StartOptions,
  ): Promise<GuestHandle | undefined> {
    const handle = await warm.take(sandbox.id, signal)
    if (handle === undefined) return undefined
    phase('claim')
    try {
      if (egressOf(sandbox) === 'closed') await runtime.setEgress(handle, 'closed', signal)
      await configureGuest(guestOf(handle), sandbox, sandbox.envVars, {
        ...{ defaultUser, signal, timeoutMs: claimTimeoutMs },
      })
      phase('configure')
      onUp?.()
      return handle
    } catch (error) {
      await warm.discard(handle)
      signal.throwIfAborted()
      log.warn({ sandboxId: sandbox.id, err: error }, 'a guest that waited was of no use; another is started')
      return undefined
    }
  }

  async function undoStart(handle: GuestHandle): Promise<void> {
    await runtime.destroy(handle, patientSignal(undoMs)).catch((failure) => {
      log.warn({ sandboxId: handle.sandboxId, err: failure }, 'a failed start left a guest to reconciliation')
    })
  }

  /** What its build starts doesn't see what its create said: it may run since before that. */
  async function bootGuest(
    sandbox: Sandbox,
    guest: Guest,
    { signal, phase, onUp }: StartOptions,
  ): Promise<void> {
    const { defaults, envVars } = sandbox
    const options = { defaultUser, signal }
    const hasOwnVariables = Object.keys(envVars).length > 0
    const isLater = hasCommands(defaults) && hasOwnVariables
    await configureGuest(guest, sandbox, isLater ? {} : envVars, options)
    phase('configure')
    onUp?.()
    if (!hasCommands(defaults)) return
    await runStartCommand(guest, defaults, { signal })
    if (isLater) await configureGuest(guest, sandbox, envVars, options)
    phase('ready')
  }
}

/** Of every process in it: its build's, and above that what its create said. */
function environmentOf({ defaults, envVars }: Sandbox): Record<string, string> {
  return { ...defaults.env, ...envVars }
}

function specOf(sandbox: Sandbox): GuestSpec {
  return {
    sandboxId: sandbox.id,
    image: sandbox.image,
    cpuCount: sandbox.cpuCount,
    memoryMb: sandbox.memoryMb,
    diskMb: sandbox.diskMb,
    hostname: 'e2b.local',
    egress: egressOf(sandbox) ?? 'open',
  }
}
