import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** What of a process is looked at by its control group. */
export type Controller = 'memory' | 'freezer'

/** The control group that has a process under one controller. */
export interface Cgroup {
  version: 1 | 2
  /** Its directory on this machine */
  directory: string
}

/** The control group of a process, or undefined where this machine shows none. Rejects when the process is gone. */
export async function cgroupOf(controller: Controller, pid: number): Promise<Cgroup | undefined> {
  return findCgroup(controller, await cgroupsOf(pid), await cgroupMounts())
}

/** Text of /proc/<pid>/cgroup. Rejects when the process is gone. */
export function cgroupsOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cgroup`, 'utf8')
}

/** Those lines of /proc/self/mountinfo that are about control groups: the others may be thousands. */
export async function cgroupMounts(): Promise<string> {
  const all = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  return all.filter((line) => line.includes(' - cgroup')).join('\n')
}

/**
 * `groups`: text of /proc/<pid>/cgroup; `mounts`: text of /proc/self/mountinfo. On a machine with both versions the
 * controller is version 1's when that lists it.
 */
export function findCgroup(controller: Controller, groups: string, mounts: string): Cgroup | undefined {
  const lines = groups.split('\n').map((line) => /^\d+:([^:]*):(\/.*)$/.exec(line))
  const own = lines.find((line) => line?.[1]?.split(',').includes(controller))
  const unified = lines.find((line) => line?.[1] === '')
  const version = own ? 1 : 2
  const path = (own ?? unified)?.[2]
  // A path with `..` is outside of what this process's own cgroup namespace shows.
  if (path === undefined || path.split('/').includes('..')) return undefined
  for (const line of mounts.split('\n')) {
    // id parent device root mountpoint options [tags…] - type source superoptions
    const [before = '', after = ''] = line.split(' - ')
    const [root, mountPoint] = before.split(' ').slice(3, 5).map(decodeOctal)
    const [type, , options = ''] = after.split(' ')
    const fits = own ? type === 'cgroup' && options.split(',').includes(controller) : type === 'cgroup2'
    if (!fits || root === undefined || mountPoint === undefined) continue
    const inside = relative(root, path)
    if (inside.split('/').includes('..')) continue
    return { version, directory: join(mountPoint, inside) }
  }
  return undefined
}

/** The kernel writes spaces and the like as octal numbers. */
function decodeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}
