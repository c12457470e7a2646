/**
 * Where guests live: `<temporary directory>/e2b-process-<instance>/<sandboxId>/` with
 *
 *   home/        the guest's, its files
 *   agent/       the guest's, the agent's socket
 *   state.json   ours: which process the agent is, and whether it counts
 *
 * and images beside them in `.images/` (images.ts).
 *
 * It is not below the server's own directory, which an unprivileged agent couldn't enter.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, copyFile, lstat, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerError } from '../../domain/error.ts'
import { isSandboxId } from '../../domain/sandbox-id.ts'
import { removeTree } from '../../lib/remove-tree.ts'
import { requireRoot } from './faults.ts'
import type { ProcessId } from './handle.ts'
import { runProgram } from './run-program.ts'

/** The agent's socket in its directory */
export const socketName = 'agent.sock'
const stateMaxBytes = 4096
const binaryPrefix = 'e2b-guest.'
/** Size of a home that is to be full */
const tinyDisk = '64k'

/** Whom agents run as. */
export interface Owner {
  uid: number
  gid: number
}

/**
 * What the runtime does with a guest, written before it does it:
 *
 * - `live`: its agent runs, is frozen or has ended by itself: the process itself tells which
 * - `stopping`: its processes are being ended; those that are left still count
 * - `stopped`: it has none
 * - `booting`: it is stopped, but an agent has been started that doesn't count yet
 */
export type GuestPhase = (typeof phases)[number]

const phases = ['live', 'stopping', 'stopped', 'booting'] as const

/** The agent's process, or that of its last boot, and what it means. */
export interface GuestRecord extends ProcessId {
  phase: GuestPhase
}

export interface GuestDirs {
  /** The directory of all */
  root: string
  /** Makes it. Errors: `failed_precondition` when somebody else's stands there. */
  prepare(): Promise<void>
  home(sandboxId: string): string
  /** Directory of the agent's socket */
  agent(sandboxId: string): string
  agentSocket(sandboxId: string): string
  /** Errors: `conflict` when the guest exists. */
  create(sandboxId: string): Promise<void>
  /** Mounts a tiny file system as the guest's home. Errors: `failed_precondition` unless root. */
  shrinkDisk(sandboxId: string): Promise<void>
  writeState(sandboxId: string, state: GuestRecord): Promise<void>
  /** `pid: 0` when it was never written. */
  readState(sandboxId: string): Promise<GuestRecord>
  /** Whether the guest's files are there. */
  exists(sandboxId: string): boolean
  /** Unmounts and removes. Idempotent. */
  remove(sandboxId: string, signal: AbortSignal): Promise<void>
  list(): Promise<string[]>
  /** Path of a copy of the agent's binary that agents can run, named for its content. */
  binary(source: string): Promise<string>
  /** Removes the copy and the common directory, unless there are guests or images. */
  tidy(): Promise<void>
}

export function createGuestDirs(instanceId: string, owner: Owner): GuestDirs {
  const root = join(tmpdir(), `e2b-process-${instanceId.toLowerCase().replaceAll(/[^a-z0-9]/g, '')}`)
  let hash: Promise<string> | undefined
  const path = (sandboxId: string, ...names: string[]) => join(root, sandboxId, ...names)

  return {
    root,
    prepare: () => prepareRoot(root),
    home: (sandboxId) => path(sandboxId, 'home'),
    agent: (sandboxId) => path(sandboxId, 'agent'),
    agentSocket: (sandboxId) => path(sandboxId, 'agent', socketName),
    async create(sandboxId) {
      await prepareRoot(root)
      try {
        await mkdir(path(sandboxId), { mode: 0o711 })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        throw new ServerError('conflict', `Sandbox ${sandboxId} exists already.`, { cause: error })
      }
      for (const name of ['home', 'agent']) {
        await mkdir(path(sandboxId, name), { mode: 0o700 })
        await chown(path(sandboxId, name), owner.uid, owner.gid)
      }
    },
    async shrinkDisk(sandboxId) {
      requireRoot('diskFull')
      const options = `size=${tinyDisk},mode=0700,uid=${owner.uid},gid=${owner.gid}`
      await runProgram('mount', ['-t', 'tmpfs', '-o', options, 'e2b-process', path(sandboxId, 'home')])
    },
    async writeState(sandboxId, { pid, startTicks, phase }) {
      await replaceFile(path(sandboxId, 'state.json'), JSON.stringify({ pid, startTicks, phase }))
    },
    async readState(sandboxId) {
      const none: GuestRecord = { pid: 0, startTicks: 0, phase: 'live' }
      const text = await readFile(path(sandboxId, 'state.json'), 'utf8').catch(() => '')
      if (text === '' || text.length > stateMaxBytes) return none
      const { pid, startTicks, phase = 'live' } = JSON.parse(text)
      const isRecord = Number.isInteger(pid) && Number.isInteger(startTicks) && phases.includes(phase)
      return isRecord ? { pid, startTicks, phase } : none
    },
    exists: (sandboxId) => existsSync(path(sandboxId, 'home')),
    async remove(sandboxId, signal) {
      if (await isMountPoint(path(sandboxId, 'home')))
        await runProgram('umount', ['-l', path(sandboxId, 'home')])
      await removeTree(path(sandboxId), signal)
    },
    async list() {
      const names = await readdir(root, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      return names.filter((entry) => entry.isDirectory() && isSandboxId(entry.name)).map(({ name }) => name)
    },
    async binary(source) {
      hash ??= contentHash(source)
      hash.catch(() => {
        hash = undefined
      })
      const target = join(root, `${binaryPrefix}${await hash}`)
      await prepareRoot(root)
      if (!existsSync(target)) await copyBinary(source, target)
      return target
    },
    async tidy() {
      const names = await readdir(root).catch(() => [])
      if (!names.every((name) => name.startsWith(binaryPrefix))) return
      await rm(root, { recursive: true, force: true })
    },
  }
}

async function contentHash(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
    .slice(0, 12)
}

/** Appears under its name only when it is complete. */
async function copyBinary(source: string, target: string): Promise<void> {
  const draft = `${target}.${randomBytes(6).toString('hex')}`
  await copyFile(source, draft)
  await chmod(draft, 0o755)
  await rename(draft, target)
}

/** Others may write to the temporary directory too: what stands there already must be ours. */
async function prepareRoot(root: string): Promise<void> {
  await mkdir(root, { mode: 0o711 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const stat = await lstat(root)
  if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o022) !== 0) {
    throw new ServerError(
      'failed_precondition',
      `${root} exists and is not this server's directory. Remove it.`,
    )
  }
}

async function replaceFile(path: string, content: string): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(content)
  } finally {
    await file.close()
  }
  await rename(draft, path).catch(async (error) => {
    await rm(draft, { force: true })
    throw error
  })
}

async function isMountPoint(path: string): Promise<boolean> {
  try {
    const [inner, outer] = await Promise.all([lstat(path), lstat(join(path, '..'))])
    return inner.dev !== outer.dev
  } catch {
    return false
  }
}
