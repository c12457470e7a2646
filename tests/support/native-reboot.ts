/**
 * What a restart of the machine takes from a helper and its guests: every process at once, frozen ones too, and all that is
 * no file on a disk. Records are then of an earlier boot.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { helloOf } from './helper.ts'

const run = promisify(execFile)
const groupsRoot = '/sys/fs/cgroup'
/** Longest time for processes to end, in milliseconds */
const endMs = 60_000

/** `root`: the helper's directory, which a server may run beside. */
export async function loseMachine(root: string, instanceId: string): Promise<void> {
  const helper = await helloOf(root)
  // First, so that it sees no guest end.
  process.kill(helper.pid, 'SIGKILL')
  await endAll(instanceId)
  for (const group of groupsOf(instanceId)) rmdirSync(group)
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  for (const path of mounts.map((line) => line.split(' ')[1] ?? '').reverse())
    if (path.startsWith(`${root}/`)) await run('umount', ['-l', path])
  const { stdout } = await run('nft', ['list', 'tables'])
  for (const line of stdout.split('\n').filter((each) => each.includes(instanceId)))
    await run('nft', ['delete', ...line.split(' ')])
  for (const guest of readdirSync(join(root, 'guests'))) {
    const file = join(root, 'guests', guest, 'record.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"bootId":"[^"]*"/, '"bootId":"earlier"'))
  }
}

/** Deepest first */
function groupsOf(instanceId: string): string[] {
  const hierarchies = [groupsRoot, ...readdirSync(groupsRoot).map((name) => join(groupsRoot, name))]
  const below = (folder: string): string[] => [
    ...readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? below(join(folder, entry.name)) : [],
    ),
    folder,
  ]
  const own = hierarchies.map((folder) => join(folder, `e2bn-${instanceId}`))
  return own.filter((folder) => existsSync(folder)).flatMap(below)
}

async function endAll(instanceId: string): Promise<void> {
  const late = Date.now() + endMs
  for (;;) {
    const groups = groupsOf(instanceId)
    const pids = groups.flatMap((group) => readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n'))
    const left = new Set(pids.filter((pid) => pid !== '' && pid !== '0'))
    if (left.size === 0) return
    if (Date.now() > late) throw new Error(`processes do not end: ${[...left].join(', ')}`)
    for (const pid of left) kill(Number(pid))
    // A frozen one ends when it is thawed.
    for (const group of groups)
      if (existsSync(join(group, 'freezer.state'))) writeFileSync(join(group, 'freezer.state'), 'THAWED')
    await sleep(20)
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
