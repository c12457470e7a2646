import type { Sandbox } from '../../domain/sandbox.ts'
import { publicState } from '../../domain/sandbox-state.ts'
import { presentNetwork } from '../../wire/network.ts'
import {
  clientId,
  envdVersion,
  type ListedSandboxBody,
  type SandboxBody,
  type SandboxDetailBody,
} from '../../wire/sandbox.ts'

/** The answer to create and connect. `domain` is where sandbox hosts live, `null` when there is none. */
export function presentSandbox(sandbox: Sandbox, domain: string | null): SandboxBody {
  return {
    templateID: sandbox.templateId,
    sandboxID: sandbox.id,
    clientID: clientId,
    envdVersion,
    ...(sandbox.alias !== null && { alias: sandbox.alias }),
    ...(sandbox.envdAccessToken !== null && { envdAccessToken: sandbox.envdAccessToken }),
    ...(sandbox.trafficAccessToken !== null && { trafficAccessToken: sandbox.trafficAccessToken }),
    domain,
  }
}

/** A row of a list. */
export function presentListedSandbox(sandbox: Sandbox): ListedSandboxBody {
  return {
    templateID: sandbox.templateId,
    sandboxID: sandbox.id,
    clientID: clientId,
    ...(sandbox.alias !== null && { alias: sandbox.alias }),
    startedAt: new Date(sandbox.startedAt).toISOString(),
    endAt: new Date(sandbox.endAt).toISOString(),
    envdVersion,
    cpuCount: sandbox.cpuCount,
    memoryMB: sandbox.memoryMb,
    diskSizeMB: sandbox.diskMb,
    state: publicState(sandbox.state) ?? 'running',
    metadata: sandbox.metadata,
  }
}

/** The answer to getInfo. */
export function presentSandboxDetail(sandbox: Sandbox, domain: string | null): SandboxDetailBody {
  return {
    ...presentListedSandbox(sandbox),
    ...(sandbox.envdAccessToken !== null && { envdAccessToken: sandbox.envdAccessToken }),
    domain,
    allowInternetAccess: sandbox.allowInternetAccess,
    ...(sandbox.network !== null && { network: presentNetwork(sandbox.network) }),
    ...(sandbox.state === 'paused' && { pauseMode: sandbox.pausedWithMemory ? 'full' : 'filesystem' }),
    lifecycle: { autoResume: sandbox.autoResume, onTimeout: sandbox.onTimeout },
  }
}
