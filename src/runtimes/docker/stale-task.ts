/**
 * What an engine that was killed can leave of a container: a task that has ended and that nobody deletes, so that the
 * container can't be started again. The task is its shim's, a process that waits for the container's; when that ends,
 * containerd forgets the task.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { reasonOf } from './engine.ts'

/** Whether a container couldn't be started for such a task. */
export function isStaleTask(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : error
  return /\btask [0-9a-f]{64}: already exists/.test(reasonOf(cause))
}

/**
 * Ends the shim of a container that the engine says doesn't run, on this machine. Whether there was one. Processes in
 * sandboxes may call themselves what they like: they are in other name spaces than the shim and this process.
 */
export async function endShim(containerId: string): Promise<boolean> {
  const own = await readlink('/proc/self/ns/pid')
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const [program = '', ...args] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split(
      '\0',
    )
    const isShim =
      basename(program).startsWith('containerd-shim') && args[args.indexOf('-id') + 1] === containerId
    if (!isShim || (await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) !== own) continue
    process.kill(Number(pid), 'SIGKILL')
    return true
  }
  return false
}
