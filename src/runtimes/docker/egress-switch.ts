/** Closes and opens single sandboxes, by rules in a container's own network namespace (src/network/closed-rules.ts). */
import { ServerError } from '../../domain/error.ts'
import type { Egress } from '../../domain/network.ts'
import { closedRules, openRules } from '../../network/closed-rules.ts'
import type { Engine } from './engine.ts'
import type { EngineHost } from './engine-host.ts'
import { getContainer } from './find-container.ts'
import type { DockerGuest } from './handle.ts'
import { runHostTool } from './host-tool.ts'
import { agentPort } from './tcp-transport.ts'

/** Longest time for the rules of one sandbox, in milliseconds; usually some 10 */
const applyMs = 10_000

export interface EgressSwitch {
  /**
   * Makes a guest's traffic out so, unless this has done that before; one that is stopped is left for its next boot. Works
   * on frozen guests. `isFresh`: of one that has just been started, and was never closed. Errors: `not_found`, `failed_precondition` with what to do, as `Engine.call`.
   */
  set(guest: DockerGuest, egress: Egress, signal: AbortSignal, options?: { isFresh: boolean }): Promise<void>
  forget(sandboxId: string): void
}

export function createEgressSwitch(options: {
  engine: Engine
  engineHost: EngineHost
  instanceId: string
  hostBinary: string
}): EgressSwitch {
  const { engineHost, hostBinary } = options
  /** By sandbox: what was done in the namespace of which first process, as each boot has another */
  const done = new Map<string, string>()

  return {
    async set(guest, egress, signal, { isFresh } = { isFresh: false }) {
      const { sandboxId, containerId, transport } = guest
      const { pid } = await getContainer(options, guest, signal)
      const step = `${egress} ${pid}`
      if (pid === 0 || done.get(sandboxId) === step) return
      if (!(await engineHost.isOurs(signal))) throw new ServerError('failed_precondition', notHere)
      const input =
        egress === 'open'
          ? openRules()
          : closedRules({ isFresh, agentPort: transport === 'tcp' ? agentPort : undefined })
      const args = ['apply-rules', '--pid', String(pid), '--container', containerId]
      // Until it is known what it came to, nothing is.
      done.delete(sandboxId)
      try {
        await runHostTool(hostBinary, args, { timeoutMs: applyMs, signal, input })
      } catch (cause) {
        signal.throwIfAborted()
        throw new ServerError('failed_precondition', refused, { cause })
      }
      done.set(sandboxId, step)
    },
    forget: (sandboxId) => void done.delete(sandboxId),
  }
}

const notHere =
  'This server can not close single sandboxes: only root, and only on the machine of the Docker engine, can. Run it as ' +
  'root there, or leave allow_internet_access and denyOut out.'

const refused =
  'The kernel takes no rules for the traffic of this sandbox (nft). See "e2b-server doctor", line "egress rules".'
