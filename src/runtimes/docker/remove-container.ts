import { setTimeout as delay } from 'node:timers/promises'
import { type Engine, statusOf, withSignal } from './engine.ts'

/** Pauses before trying again what the engine could not unmount at once, in milliseconds */
const retryPausesMs = [100, 400, 1000]

/** Kills and removes a container with its volumes. Idempotent, also while another removal is under way. */
export function removeContainer(engine: Engine, container: string, signal: AbortSignal): Promise<void> {
  return engine.call(signal, async (docker, both) => {
    const target = docker.getContainer(container)
    for (const pauseMs of [...retryPausesMs, undefined]) {
      try {
        await target.remove(withSignal({ force: true, v: true }, both))
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
