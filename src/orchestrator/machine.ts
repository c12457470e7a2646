import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { readFile, statfs } from 'node:fs/promises'
import { arch, cpus, freemem, totalmem } from 'node:os'
import type { Cpu, Disk, Machine } from '../domain/machine.ts'

/** Shortest time that a CPU percentage is about, in ms. */
const cpuIntervalMs = 1_000

/**
 * The machine that this process runs on. `folders` are where the server and its sandboxes write; those that aren't
 * here (an engine in a virtual machine has its own) are left out.
 */
export function createMachine(folders: readonly string[]): Machine {
  const cpu = createCpuMeter()
  return {
    cpu,

    memory() {
      const info = readMemory()
      const available = /^MemAvailable:\s+(\d+) kB$/m.exec(info)?.[1]
      return {
        totalBytes: totalmem(),
        availableBytes: available === undefined ? freemem() : Number(available) * 1024,
      }
    },

    freeBytes: () => folders.flatMap(readFreeBytes),

    async disks() {
      const mounts = parseMounts(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''))
      const found = await Promise.all(folders.map((folder) => diskOf(folder, mounts)))
      const byMount = new Map(found.flatMap((disk) => (disk === undefined ? [] : [[disk.mountPoint, disk]])))
      return [...byMount.values()]
    },
  }
}

/** At once: each start asks, and the kernel answers faster than a thread would be found that asks it. */
function readMemory(): string {
  try {
    return readFileSync('/proc/meminfo', 'utf8')
  } catch {
    return ''
  }
}

/** At once too, for the same reason. */
function readFreeBytes(folder: string): number[] {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return [bavail * bsize]
  } catch {
    return []
  }
}

interface Mount {
  mountPoint: string
  device: string
  filesystemType: string
}

async function diskOf(folder: string, mounts: readonly Mount[]): Promise<Disk | undefined> {
  const stats = await statfs(folder).catch(() => undefined)
  if (stats === undefined) return undefined
  const mount = mounts
    .filter(({ mountPoint }) => mountPoint === '/' || `${folder}/`.startsWith(`${mountPoint}/`))
    // Of two mounts on one another the later one is seen.
    .reduce<Mount | undefined>(
      (best, next) => (next.mountPoint.length >= (best?.mountPoint.length ?? 0) ? next : best),
      undefined,
    )
  return {
    ...(mount ?? { mountPoint: folder, device: '', filesystemType: '' }),
    totalBytes: stats.blocks * stats.bsize,
    usedBytes: (stats.blocks - stats.bfree) * stats.bsize,
    freeBytes: stats.bavail * stats.bsize,
  }
}

/** Fields 5 and, behind the separator, 1 and 2 of each line (proc(5)); blanks in names are octal. */
function parseMounts(text: string): Mount[] {
  const plain = (name = '') =>
    name.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
  return text.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ')
    if (left === undefined || right === undefined) return []
    const [filesystemType = '', device] = right.split(' ')
    return [{ mountPoint: plain(left.split(' ')[4]), device: plain(device), filesystemType }]
  })
}

function createCpuMeter(): () => Cpu {
  const kind = cpuKind()
  let last = cpuTimes()
  let percent = 0
  return () => {
    const now = cpuTimes()
    if (now.at - last.at >= cpuIntervalMs) {
      const total = now.total - last.total
      percent = total > 0 ? Math.round((1 - (now.idle - last.idle) / total) * 100) : 0
      last = now
    }
    return { count: now.count, percent, ...kind }
  }
}

/** Of all CPUs together since the machine's start, in ms. */
function cpuTimes(): { at: number; count: number; total: number; idle: number } {
  const all = cpus()
  let total = 0
  let idle = 0
  for (const { times } of all) {
    total += times.user + times.nice + times.sys + times.idle + times.irq
    idle += times.idle
  }
  return { at: performance.now(), count: all.length, total, idle }
}

/** Of the first CPU; machines with several kinds are rare and have no one answer. */
function cpuKind(): Pick<Cpu, 'architecture' | 'family' | 'model' | 'modelName'> {
  const info = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : ''
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(info)?.[1] ?? ''
  return {
    architecture: arch(),
    family: field('cpu family'),
    model: field('model'),
    modelName: cpus()[0]?.model ?? '',
  }
}
