/**
 * What a guest has on the host besides its container: one directory, `<stateDir>/run/<sandboxId>`. With the unix
 * transport the guest's root owns what is in it, so it is a file system of its own (run-mounts.ts), and nothing here
 * follows links or reads its content. The directory
 * above stays closed to everybody else, as the guest could open up its own.
 */
import { chmod, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerError } from '../../domain/error.ts'
import { checkSandboxId, isSandboxId } from '../../domain/sandbox-id.ts'
import { removeTree } from '../../lib/remove-tree.ts'
import type { RunMounts } from './run-mounts.ts'

/** Most guests that are looked for; far above what one machine holds */
const listMax = 100_000

export interface RunDirs {
  /** The directory of all, which no guest sees */
  readonly root: string
  path(sandboxId: string): string
  /** Creates the guest's directory (mode 0700). Errors: `conflict` when there is one. */
  create(sandboxId: string): Promise<string>
  /** Idempotent. */
  remove(sandboxId: string, signal: AbortSignal): Promise<void>
  list(): Promise<string[]>
}

export function createRunDirs(stateDir: string, mounts: RunMounts): RunDirs {
  const root = join(stateDir, 'run')
  const path = (sandboxId: string) => join(root, checkSandboxId(sandboxId))
  return {
    root,
    path,
    async create(sandboxId) {
      await mkdir(root, { recursive: true, mode: 0o700 })
      await chmod(root, 0o700)
      try {
        await mkdir(path(sandboxId), { mode: 0o700 })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        throw new ServerError('conflict', `Sandbox ${sandboxId} exists already.`, { cause: error })
      }
      return path(sandboxId)
    },
    async remove(sandboxId, signal) {
      await mounts.unmount(path(sandboxId), signal)
      await removeTree(path(sandboxId), signal)
    },
    async list() {
      const names = await readdir(root).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      return names.filter(isSandboxId).slice(0, listMax)
    },
  }
}
