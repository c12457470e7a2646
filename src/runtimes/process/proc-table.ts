/** The host's processes as /proc shows them. */
import { readdirSync, readFileSync } from 'node:fs'
import type { ProcessId } from './handle.ts'

/** Most of a process's environment that is looked at, in bytes */
const environMaxBytes = 1 << 20
const microsPerTick = 10_000

export interface ProcessEntry extends ProcessId {
  parent: number
  /** One letter, as /proc says: `T` and `t` stand still, `D` waits and can't be interrupted */
  state: string
  /** CPU time of the process and of those of its children that have ended */
  cpuMicros: number
}

/** What is known of a live process; undefined when there is none, or only its remains until the parent looks. */
export async function findProcess(pid: number): Promise<ProcessEntry | undefined> {
  return readProcess(pid)
}

/** Read at once: /proc answers in microseconds, and handing each read to a thread takes many times that. */
function readProcess(pid: number): ProcessEntry | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? ''
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
 * The processes that belong to a guest. While its agent lives they are the agent's descendants, since the agent takes
 * in those that lose their parents. Without an agent they are those that have the guest's home as HOME, and theirs;
 * finding them takes a look at every process of the machine.
 */
export async function guestProcesses(agent: ProcessId, home: string): Promise<ProcessEntry[]> {
  return (await isAlive(agent)) ? descendantsOf(agent.pid) : strayProcesses(home)
}

/** A process and all below it. */
function descendantsOf(pid: number): ProcessEntry[] {
  const found: ProcessEntry[] = []
  const seen = new Set<number>()
  for (const queue = [pid]; queue.length > 0; ) {
    const next = queue.pop()!
    if (seen.has(next)) continue
    seen.add(next)
    const entry = readProcess(next)
    if (entry === undefined) continue
    found.push(entry)
    queue.push(...childrenOf(next))
  }
  return found
}

/** Each thread has children of its own. */
function childrenOf(pid: number): number[] {
  const threads = attempt(() => readdirSync(`/proc/${pid}/task`)) ?? []
  return threads.flatMap((thread) => {
    const children = attempt(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')) ?? ''
    return children.split(' ').filter(Boolean).map(Number)
  })
}

function strayProcesses(home: string): ProcessEntry[] {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid)
  const entries = pids.map(readProcess).filter((entry) => entry !== undefined)
  const members = new Set(entries.filter(({ pid }) => hasHome(pid, home)).map(({ pid }) => pid))
  for (let before = -1; before !== members.size; ) {
    before = members.size
    for (const { pid, parent } of entries) if (members.has(parent)) members.add(pid)
  }
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

/** Resident memory in bytes; 0 for a process that has ended. */
export async function residentBytes(pid: number): Promise<number> {
  const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'latin1')) ?? ''
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}

function hasHome(pid: number, home: string): boolean {
  const environ = attempt(() => readFileSync(`/proc/${pid}/environ`, 'utf8')) ?? ''
  return `\0${environ.slice(0, environMaxBytes)}\0`.includes(`\0HOME=${home}\0`)
}

/** Undefined where a process has ended meanwhile, or isn't ours to look at. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
