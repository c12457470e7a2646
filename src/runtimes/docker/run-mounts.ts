/**
 * Run directories as small file systems of their own in memory (host/src/engine/run_dir.rs): what a guest's root writes
 * there costs at most some KiB and doesn't outlive the guest. Where we aren't root on the engine's machine, or it doesn't
 * see our mounts, they are plain directories, and `doctor` says so.
 */
import { lstat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Log } from '../../lib/log.ts'
import { patientSignal } from '../../lib/patience.ts'
import type { Engine } from './engine.ts'
import type { EngineHost } from './engine-host.ts'
import { runHostTool } from './host-tool.ts'

/** Longest time for one of them, in milliseconds */
const mountMs = 10_000

export interface RunMounts {
  /** Whether the engine's containers see what we mount. Errors as `Engine.call`. */
  canMount(signal: AbortSignal): Promise<boolean>
  /** Makes an empty directory one of its own file system, where that can be done. Errors as `Engine.call`. */
  mount(directory: string, signal: AbortSignal): Promise<void>
  /** Lets go of it, also while it is in use. Idempotent. */
  unmount(directory: string, signal: AbortSignal): Promise<void>
}

export function createRunMounts(options: {
  engine: Engine
  engineHost: EngineHost
  hostBinary: string
  log: Log
}): RunMounts {
  const { engine, engineHost, hostBinary, log } = options
  const tool = (args: string[], signal: AbortSignal) =>
    runHostTool(hostBinary, args, { timeoutMs: mountMs, signal })
  let shared: Promise<boolean> | undefined
  engine.health.onChange(() => {
    shared = undefined
  })

  const ask = async () => {
    const signal = patientSignal(mountMs)
    if (!(await engineHost.isOurs(signal))) return false
    return tool(['check-mounts', '--engine', engine.socketPath], signal).then(
      () => true,
      (error) => {
        log.warn({ err: error }, 'what sandboxes write to their run directories is on the disk of the server')
        return false
      },
    )
  }
  const canMount = (signal: AbortSignal) => {
    signal.throwIfAborted()
    const asked = shared ?? ask()
    shared = asked
    // An engine that doesn't answer says nothing about mounts.
    asked.catch(() => {
      if (shared === asked) shared = undefined
    })
    return asked
  }

  return {
    canMount,
    async mount(directory, signal) {
      if (await canMount(signal)) await tool(['mount-run-dir', '--directory', directory], signal)
    },
    async unmount(directory, signal) {
      if (await isMounted(directory)) await tool(['unmount-run-dir', '--directory', directory], signal)
    },
  }
}

/** Whether another file system begins at a directory. */
async function isMounted(directory: string): Promise<boolean> {
  try {
    const [own, above] = await Promise.all([lstat(directory), lstat(dirname(directory))])
    return own.dev !== above.dev
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
