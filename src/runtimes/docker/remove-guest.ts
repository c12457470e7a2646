import { setTimeout as delay } from 'node:timers/promises'
import { containerName } from './container.ts'
import { statusOf, withSignal } from './engine.ts'
import type { DockerParts } from './parts.ts'

/** Pauses before trying again what the engine could not do at once, in milliseconds */
const retryPausesMs = [100, 400, 1000]

/** Removes everything a guest has or had. Idempotent. Errors as `Engine.call`. */
export async function removeGuest(parts: DockerParts, sandboxId: string, signal: AbortSignal): Promise<void> {
  parts.ends.expect(sandboxId)
  parts.reclaim.end(sandboxId)
  parts.egress.forget(sandboxId)
  try {
    await parts.transports.release(sandboxId)
    await removeContainer(parts, sandboxId, signal)
    parts.cpuSets.release(sandboxId)
    await parts.views.remove(sandboxId)
    await parts.dirs.remove(sandboxId, signal)
  } finally {
    parts.ends.forget(sandboxId)
  }
}

/** Kills and removes the container with its volumes, also while another removal is under way. */
function removeContainer({ engine, instanceId }: DockerParts, sandboxId: string, signal: AbortSignal) {
  return engine.call(signal, async (docker, both) => {
    const container = docker.getContainer(containerName(instanceId, sandboxId))
    for (const pauseMs of [...retryPausesMs, undefined]) {
      try {
        await container.remove(withSignal({ force: true, v: true }, both))
        return
      } catch (error) {
        if (statusOf(error) === 404) return
        // 409: somebody else is removing it. 500: its file system was busy.
        if (pauseMs === undefined || (statusOf(error) !== 409 && statusOf(error) !== 500)) throw error
        await delay(pauseMs, undefined, { signal: both })
      }
    }
  })
}
