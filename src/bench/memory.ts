/** What the server, its sandboxes and the kernel for them hold of memory, in bytes. */
import { readdirSync, readFileSync } from 'node:fs'

/** The processes of a server that is a child of this process. */
export interface ProcessTree {
  /** The server's own: itself, its data workers and its helper */
  server(): number[]
  /** All others: what is in sandboxes, and what waits for them */
  others(): number[]
}

export interface MemoryUse {
  /** Of the server, its data workers and its helper: their share of what they share */
  server: number
  /** Of all other processes, the same way */
  others: number
  /** What the kernel holds for objects, stacks, page tables and counters for each CPU, on the whole machine */
  kernel: number
  /** Files in memory, on the whole machine */
  shared: number
  /** Everything on the machine that isn't free and no cache of files */
  machine: number
}

/** `pid`: of the server. `engine`: also processes of a container engine, in which sandboxes are. */
export function processTree(pid: number, engine: boolean): ProcessTree {
  return {
    server: () => [pid, ...childrenIn(parents()).of(pid)],
    others() {
      const known = parents()
      const { of } = childrenIn(known)
      const below = (roots: number[]): number[] =>
        roots.flatMap((root) => of(root).flatMap((child) => [child, ...below([child])]))
      const engines = engine ? [...known.keys()].filter((each) => isEngine(nameOf(each))) : []
      const all = new Set([...below(of(pid)), ...engines, ...below(engines)])
      return [...all].filter((each) => each !== pid && !of(pid).includes(each))
    },
  }
}

/** Errors: what of it this user may not read. */
export function memoryUse(processes: ProcessTree): MemoryUse {
  const machine = machineMemory(readFileSync('/proc/meminfo', 'utf8'))
  return { server: sumOf(processes.server()), others: sumOf(processes.others()), ...machine }
}

/** By the text of `/proc/meminfo`. */
export function machineMemory(text: string): Pick<MemoryUse, 'kernel' | 'shared' | 'machine'> {
  const field = (name: string) => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)
    return Number(match?.[1] ?? 0) * 1024
  }
  const shared = field('Shmem')
  const kernel = ['Slab', 'KernelStack', 'PageTables', 'Percpu'].reduce((sum, name) => sum + field(name), 0)
  const used = field('MemTotal') - field('MemFree') - field('Buffers') - (field('Cached') - shared)
  return { kernel, shared, machine: used }
}

/** By the text of a process's `smaps_rollup`. */
export function shareOf(text: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024
}

function sumOf(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + shareOf(readProc(pid, 'smaps_rollup')), 0)
}

function isEngine(name: string): boolean {
  return ['dockerd', 'containerd'].includes(name) || name.startsWith('containerd-shim')
}

function nameOf(pid: number): string {
  return readProc(pid, 'comm').trim()
}

/** Each process's parent. */
function parents(): Map<number, number> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  // The name, in parentheses, may hold anything; state and parent come after it.
  return new Map(
    pids.map((pid) => [Number(pid), Number(/.*\) \S (\d+)/s.exec(readProc(Number(pid), 'stat'))?.[1] ?? 0)]),
  )
}

function childrenIn(known: Map<number, number>): { of(pid: number): number[] } {
  const children = new Map<number, number[]>()
  for (const [pid, parent] of known) children.set(parent, [...(children.get(parent) ?? []), pid])
  return { of: (pid) => children.get(pid) ?? [] }
}

/** Empty where the process has just ended. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return ''
    throw error
  }
}
