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
import { configure } from '../guest/configure.ts'
import type { Guest } from '../guest/guest.ts'
import { metrics } from '../guest/metrics.ts'
import { runStartCommand } from '../guest/start-command.ts'
import { anySignal } from '../lib/deadline.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'

export interface ManagerParts {
  runtime: Runtime
  /** Who brings traffic to the sandboxes */
  carrier: TrafficCarrier
  log: Log
  /** User that commands and files belong to when a request names none */
  defaultUser: string
}

/** How long a fresh agent may take to accept its configuration, in ms. */
const configureTimeoutMs = 10_000
/** How long undoing a failed start or boot may take, in ms. */
const undoMs = 30_000

export function createManager({ runtime, carrier, log, defaultUser }: ManagerParts): SandboxNode {
  return {
    runtime: runtime.name,
    capabilities: runtime.capabilities,
    images: runtime.images,

    async start(sandbox, options) {
      const { signal, phase } = options
      const handle = await runtime.start(specOf(sandbox), signal)
      phase('start')
      try {
        await configureGuest(sandbox, guestOf(handle), options)
        return handle
      } catch (error) {
        await runtime.destroy(handle, patientSignal(undoMs)).catch((failure) => {
          log.warn({ sandboxId: sandbox.id, err: failure }, 'a failed start left a guest to reconciliation')
        })
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
        await configureGuest(sandbox, guestOf(handle), options)
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
    snapshot: (handle, image, signal) => runtime.snapshot(handle, image, signal),
    sample: (handle, signal) => metrics(guestOf(handle), signal),
    destroy: (handle, signal) => runtime.destroy(handle, signal),
    guests: (signal) => runtime.list(signal),
  }

  function guestOf(handle: GuestHandle): Guest {
    return { connect: (signal) => runtime.connect(handle, signal) }
  }

  /** Settings, then what its build starts; a guest of files alone has none of either. */
  async function configureGuest(
    sandbox: Sandbox,
    guest: Guest,
    { signal, phase, onUp }: StartOptions,
  ): Promise<void> {
    const { defaults } = sandbox
    await configure(
      guest,
      {
        env: environmentOf(sandbox),
        user: defaults.user ?? defaultUser,
        ...(defaults.workdir !== null && { workdir: defaults.workdir }),
        sandboxId: sandbox.id,
        templateId: sandbox.templateId,
      },
      anySignal(signal, patientSignal(configureTimeoutMs)),
    )
    phase('configure')
    onUp?.()
    if (defaults.startCmd === null && defaults.readyCmd === null) return
    await runStartCommand(guest, defaults, { signal })
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
