import { ServerError } from '../domain/error.ts'
import type { Machine } from '../domain/machine.ts'

/** Space that must stay free, in MiB. */
export interface FreeSpace {
  /** Null: 5 % of the machine's memory, and at least 256 */
  memoryMb: number | null
  /** On each file system that the server and its sandboxes write to */
  diskMb: number
}

/** What a guest takes until it is up, in MiB: starts under way don't show yet in what is free. */
const startMemoryMb = 64
/** When memory or disk may have come free, in seconds. */
const retryAfterS = 10
const mib = 2 ** 20

/**
 * Refuses a start that the machine has no room for. A sandbox's limits aren't its use, and machines are overcommitted
 * as a rule, so what counts is what is free now. `underWay` is how many other starts there are. Errors: `unavailable`.
 */
export async function requireRoom(machine: Machine, keepFree: FreeSpace, underWay: number): Promise<void> {
  const { totalBytes, availableBytes } = machine.memory()
  const floorMb = keepFree.memoryMb ?? Math.max(256, totalBytes / mib / 20)
  const neededMb = Math.ceil(floorMb + underWay * startMemoryMb)
  if (availableBytes / mib < neededMb) {
    throw full(
      `This server is short of memory: ${Math.floor(availableBytes / mib)} MiB are available, and starting a ` +
        `sandbox needs ${neededMb} MiB now. Kill or pause sandboxes; --min-free-memory-mb sets what is kept free.`,
    )
  }
  const isShort = (freeBytes: number) => freeBytes / mib < keepFree.diskMb
  if (!machine.freeBytes().some(isShort)) return
  // Which one it is takes longer to find out.
  const disk = (await machine.disks()).find(({ freeBytes }) => isShort(freeBytes))
  if (disk === undefined) return
  throw full(
    `This server is short of disk space: ${Math.floor(disk.freeBytes / mib)} MiB are free on ${disk.mountPoint}, and ` +
      `starting a sandbox needs ${keepFree.diskMb} MiB. Free some; --min-free-disk-mb sets what is kept free.`,
  )
}

function full(message: string): ServerError {
  return new ServerError('unavailable', message, { retryAfterS })
}
