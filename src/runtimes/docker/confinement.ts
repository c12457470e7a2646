/** What sandboxes are held by beyond CPU and memory, as far as the engine and its kernel have it. */
import { readFile } from 'node:fs/promises'
import type { EngineHost } from './engine-host.ts'
import { type EngineInfo, hasSecurityOption, isOwnKernel } from './fingerprint.ts'
import { seccompProfile } from './seccomp.ts'

/** Processes and threads that a kernel has where it can't be asked: the default of small machines */
const tasksUnknown = 32_768
/** What all sandboxes together should leave to the machine */
const keptShare = 1 / 4
/** Least and most that one sandbox may have of what is left: builds and browsers run, and one alone can't take all */
const leastShare = 1 / 6
const mostShare = 1 / 2
/** Most that the least comes to: plenty for builds and browsers */
const leastMax = 4096

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
 * A sandbox's share of the kernel's processes and threads is that of the machine's memory, by which starts are admitted;
 * within bounds, as most sandboxes use far less than they may.
 */
export function pidsLimit(options: { tasks: number; memoryMb: number; machineMemoryMb: number }): number {
  const { tasks, memoryMb, machineMemoryMb } = options
  const available = tasks * (1 - keptShare)
  const share = machineMemoryMb > 0 ? available * (memoryMb / machineMemoryMb) : 0
  const least = Math.min(leastMax, available * leastShare)
  return Math.floor(Math.min(Math.max(share, least), available * mostShare))
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

/** The smaller of the kernel's limits on pids and on threads. */
async function tasksMax(): Promise<number> {
  const limits = await Promise.all(
    ['pid_max', 'threads-max'].map(async (name) =>
      Number(await readFile(`/proc/sys/kernel/${name}`, 'utf8')),
    ),
  )
  const known = limits.filter((limit) => Number.isInteger(limit) && limit > 0)
  return known.length > 0 ? Math.min(...known) : tasksUnknown
}

async function hasIpv6Loopback(): Promise<boolean> {
  return readFile('/proc/sys/net/ipv6/conf/lo/disable_ipv6').then(
    () => true,
    () => false,
  )
}
