/** How many processes and threads a sandbox may have: a share of what the kernel has. */
import { readFile } from 'node:fs/promises'

/** Processes and threads that a kernel has where it can't be asked: the default of small machines */
export const tasksUnknown = 32_768
/** What all sandboxes together should leave to the machine */
const keptShare = 1 / 4
/** Least and most that one sandbox may have of what is left: builds and browsers run, and one alone can't take all */
const leastShare = 1 / 6
const mostShare = 1 / 2
/** Most that the least comes to: plenty for builds and browsers */
const leastMax = 4096

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

/** The smaller of the kernel's limits on pids and on threads. */
export async function tasksMax(): Promise<number> {
  const limits = await Promise.all(
    ['pid_max', 'threads-max'].map(async (name) =>
      Number(await readFile(`/proc/sys/kernel/${name}`, 'utf8')),
    ),
  )
  const known = limits.filter((limit) => Number.isInteger(limit) && limit > 0)
  return known.length > 0 ? Math.min(...known) : tasksUnknown
}
