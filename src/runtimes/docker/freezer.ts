/**
 * The kernel's own word on whether a container is frozen. An engine that is killed in the middle of a freeze or a thaw
 * remembers the container as it was before, while its processes stand, or run; and it refuses to change what it takes
 * for done already.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerError } from '../../domain/error.ts'
import { sleep } from '../../lib/deadline.ts'
import { type Cgroup, cgroupMounts, cgroupsOf, findCgroup } from './cgroup.ts'
import type { EngineHost } from './engine-host.ts'
import type { FoundContainer } from './find-container.ts'

/** Between looks at a control group that freezes, in milliseconds */
const pollMs = 10
/** A control group that hasn't frozen after so many looks thaws for a moment: something in it may have to end first. */
const looksMax = 20

export interface Freezer {
  /**
   * Whether a container's processes are frozen; undefined where this process can't see that, and for one that is
   * stopped. Errors as `Engine.call`.
   */
  isFrozen(found: FoundContainer, signal: AbortSignal): Promise<boolean | undefined>
  /** Freezes or thaws a container behind its engine's back. Errors: `unavailable` where it can't; the signal's reason. */
  set(found: FoundContainer, frozen: boolean, signal: AbortSignal): Promise<void>
}

export function createFreezer({ engineHost }: { engineHost: EngineHost }): Freezer {
  let mounts: Promise<string> | undefined

  /** The control group by which a container is frozen. */
  const groupOf = async ({ pid, guest }: FoundContainer, signal: AbortSignal) => {
    if (pid === 0 || !(await engineHost.isOurs(signal))) return undefined
    mounts ??= cgroupMounts()
    const groups = await cgroupsOf(pid).catch(() => '')
    const cgroup = findCgroup('freezer', groups, await mounts)
    // The process may have ended, and its number be another's.
    return cgroup?.directory.includes(guest.containerId) ? cgroup : undefined
  }

  return {
    async isFrozen(found, signal) {
      const cgroup = await groupOf(found, signal)
      return cgroup && (await stateOf(cgroup)) !== 'thawed'
    },
    async set(found, frozen, signal) {
      const cgroup = await groupOf(found, signal)
      if (cgroup === undefined) {
        const message = `The engine doesn't know any more whether sandbox ${found.guest.sandboxId} is paused.`
        throw new ServerError('unavailable', message)
      }
      const wanted = frozen ? 'frozen' : 'thawed'
      for (let looks = 0; (await stateOf(cgroup)) !== wanted; looks++) {
        if (looks % looksMax === 0) {
          if (looks > 0) await order(cgroup, false)
          await order(cgroup, frozen)
        }
        await sleep(pollMs, signal)
      }
    },
  }
}

async function stateOf({ version, directory }: Cgroup): Promise<'frozen' | 'freezing' | 'thawed'> {
  if (version === 1) {
    const state = (await readFile(join(directory, 'freezer.state'), 'utf8')).trim()
    return state === 'FROZEN' ? 'frozen' : state === 'FREEZING' ? 'freezing' : 'thawed'
  }
  if ((await readFile(join(directory, 'cgroup.freeze'), 'utf8')).trim() === '0') return 'thawed'
  return /^frozen 1$/m.test(await readFile(join(directory, 'cgroup.events'), 'utf8')) ? 'frozen' : 'freezing'
}

function order({ version, directory }: Cgroup, frozen: boolean): Promise<void> {
  return version === 1
    ? writeFile(join(directory, 'freezer.state'), frozen ? 'FROZEN' : 'THAWED')
    : writeFile(join(directory, 'cgroup.freeze'), frozen ? '1' : '0')
}
