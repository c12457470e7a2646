/**
 * A boot id of its own for every boot of a sandbox: what code in it reads in /proc/sys/kernel/random/boot_id, as on any
 * machine. The engine doesn't let a container's description say that, so it is done from this machine as soon as the
 * container runs. Where the engine's kernel isn't ours, or we aren't root, sandboxes see the id of the engine's machine.
 */

import type { Log } from '../../lib/log.ts'
import { patientSignal } from '../../lib/patience.ts'
import type { Engine } from './engine.ts'
import type { EngineHost } from './engine-host.ts'
import { runHostTool } from './host-tool.ts'

/** Longest time for it, in milliseconds */
const bindMs = 5_000

export interface BootIds {
  /** Gives a running container a new boot id, unless it has one. Never rejects: a sandbox without one is usable. */
  bind(containerId: string): Promise<void>
}

export function createBootIds(options: {
  engine: Engine
  engineHost: EngineHost
  guestBinary: string
  /** A directory on this machine that no sandbox sees */
  scratch: string
  log: Log
}): BootIds {
  const { engine, engineHost, guestBinary, scratch, log } = options
  let hasWarned = false

  return {
    async bind(containerId) {
      const deadline = patientSignal(bindMs)
      try {
        if (!(await engineHost.isOurs(deadline))) return
        const { State } = await engine.call(deadline, (docker, both) =>
          docker.getContainer(containerId).inspect({ abortSignal: both }),
        )
        // One that has ended already is for the caller to notice.
        if (State.Pid === 0) return
        const args = ['--pid', String(State.Pid), '--container', containerId, '--scratch', scratch]
        await runHostTool(guestBinary, ['bind-boot-id', ...args], { timeoutMs: bindMs })
      } catch (error) {
        log[hasWarned ? 'debug' : 'warn']({ err: error }, "a sandbox has this machine's boot id")
        hasWarned = true
      }
    },
  }
}
