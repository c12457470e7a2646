/** The host's processes as /proc shows them. */
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import type { ProcessId } from './handle.ts'

/** Most of a process's environment that is looked at, in bytes */
const environMaxBytes = 1 << 20
const microsPerTick = 10_000
/** Parent of the kernel's own threads, which have no environment */
const kernelThreads = 2

export interface ProcessEntry extends ProcessId {
  parent: number
  /** One letter, as /proc says: `T` and `t` stand still, `D` waits and can't be interrupted */
  state: string
  /** CPU time of the process and of those of its children that have ended */
  cpuMicros: number
}

/** What is known of a live process; undefined when there is none, or only its remains until the parent looks. */
export async function findProcess(pid: number): Promise<ProcessEntry | undefined> {
  return readEntry(pid)
}

/** Doesn't leave the thread: the kernel has the answer at hand, and all of them are asked for often. */
function readEntry(pid: number): ProcessEntry | undefined {
  const stat = readStat(pid)
  // The second field is the program's name in parentheses and may itself have any character.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const number = (index: number) => Number(fields[index])
  if (fields.length < 20 || fields[0] === 'Z' || fields[0] === 'X') return undefined
  const ticks = number(11) + number(12) + number(13) + number(14)
  return {
    pid,
    parent: number(1),
    state: fields[0] ?? '',
    startTicks: number(19),
    cpuMicros: ticks * microsPerTick,
  }
}

export async function isAlive({ pid, startTicks }: ProcessId): Promise<boolean> {
  return pid > 0 && (await findProcess(pid))?.startTicks === startTicks
}

/** Sends a signal, unless the number has gone to another process meanwhile. */
export async function signalProcess(process_: ProcessId, signal: NodeJS.Signals): Promise<void> {
  if (!(await isAlive(process_))) return
  try {
    process.kill(process_.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * The processes that belong to a guest: the agent's descendants, and those that have lost their parents but still have
 * the guest's home as HOME. The agent itself is among them when it lives.
 */
export async function guestProcesses(agentPid: number, home: string): Promise<ProcessEntry[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1 && pid !== process.pid)
  const entries = pids.map(readEntry).filter((entry) => entry !== undefined)
  // 0 stands for no agent, and is the parent of what is no guest's.
  const members = new Set(entries.filter(({ pid }) => pid === agentPid).map(({ pid }) => pid))
  const addDescendants = () => {
    for (let before = -1; before !== members.size; ) {
      before = members.size
      for (const { pid, parent } of entries) if (members.has(parent)) members.add(pid)
    }
  }
  addDescendants()
  const others = entries.filter(({ pid, parent }) => !members.has(pid) && parent !== kernelThreads)
  await Promise.all(
    others.map(async ({ pid }) => {
      if (await hasHome(pid, home)) members.add(pid)
    }),
  )
  addDescendants()
  return entries.filter(({ pid }) => members.has(pid))
}

/** Parents before their children. */
export function parentsFirst(entries: readonly ProcessEntry[]): ProcessEntry[] {
  const byPid = new Map(entries.map((entry) => [entry.pid, entry]))
  const depth = (entry: ProcessEntry) => {
    let [levels, above] = [0, byPid.get(entry.parent)]
    // Numbers that were used anew between two looks could form a ring.
    while (above !== undefined && levels < entries.length) {
      levels++
      above = byPid.get(above.parent)
    }
    return levels
  }
  const depths = new Map(entries.map((entry) => [entry, depth(entry)]))
  return entries.toSorted((a, b) => (depths.get(a) ?? 0) - (depths.get(b) ?? 0))
}

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return ''
  }
}

/** Resident memory in bytes; 0 for a process that has ended. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}

async function hasHome(pid: number, home: string): Promise<boolean> {
  const environ = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
  return `\0${environ.slice(0, environMaxBytes)}\0`.includes(`\0HOME=${home}\0`)
}
