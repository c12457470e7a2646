/** What sandboxes are held by beyond CPU and memory, as far as the engine and its kernel have it. */
import { readFile } from 'node:fs/promises'
import { pidsLimit, tasksMax, tasksUnknown } from '../../lib/pids-limit.ts'
import type { EngineHost } from './engine-host.ts'
import { type EngineInfo, hasSecurityOption, isOwnKernel } from './fingerprint.ts'
import { seccompProfile } from './seccomp.ts'

export interface Confinement {
  securityOptions: string[]
  sysctls: Record<string, string>
  /** Processes and threads that a sandbox may have */
  pidsLimit: number
}

/** Errors as `Engine.call`. */
export async function confinementOf(
  engineHost: EngineHost,
  memoryMb: number,
  signal: AbortSignal,
): Promise<Confinement> {
  const info = await engineHost.info(signal)
  const isOwn = isOwnKernel(info, process.platform)
  const [tasks, hasIpv6] = isOwn ? await Promise.all([tasksMax(), hasIpv6Loopback()]) : [tasksUnknown, false]
  return {
    securityOptions: securityOptions(info),
    // Only of the loopback, which leads nowhere: on all other links IPv6 stays off, as the engine has it.
    sysctls: hasIpv6 ? { 'net.ipv6.conf.lo.disable_ipv6': '0' } : {},
    pidsLimit: pidsLimit({ tasks, memoryMb, machineMemoryMb: info.memoryMb }),
  }
}

/**
 * `no-new-privileges` is off on purpose, also where the engine turns it on by default: the stock template's user has
 * sudo without a password, as clients expect (e2b-behaviour 4.2).
 */
function securityOptions(info: EngineInfo): string[] {
  return [
    'no-new-privileges=false',
    ...(hasSecurityOption(info, 'seccomp') ? [`seccomp=${seccompProfile}`] : []),
    ...(hasSecurityOption(info, 'apparmor') ? ['apparmor=docker-default'] : []),
  ]
}

async function hasIpv6Loopback(): Promise<boolean> {
  return readFile('/proc/sys/net/ipv6/conf/lo/disable_ipv6').then(
    () => true,
    () => false,
  )
}
