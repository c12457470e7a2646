import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'

const count = availableParallelism()

/**
 * For what is compared on one core: that core, and those of everything else, as `taskset` takes them. Undefined on a
 * machine with one.
 */
export const cores = count > 1 ? { measured: '0', others: count > 2 ? `1-${count - 1}` : '1' } : undefined

/** A command that runs on some cores only. */
export function onCores(cpus: string | undefined, command: string[]): [string, ...string[]] {
  const [program = '', ...args] = command
  return cpus === undefined ? [program, ...args] : ['taskset', '-c', cpus, program, ...args]
}

/** Moves a running process with all its threads. */
export async function moveTo(cpus: string | undefined, pid: number): Promise<void> {
  if (cpus !== undefined) await promisify(execFile)('taskset', ['-a', '-p', '-c', cpus, String(pid)])
}
