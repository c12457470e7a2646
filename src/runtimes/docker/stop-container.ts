import { statusOf, withSignal } from './engine.ts'
import { containerNotFound } from './find-container.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'

/**
 * Ends the processes of a guest at once, as a power failure would, frozen ones too. The container stays with its file
 * system; what the guest had in its run directory doesn't. Its end is expected from now on. Idempotent. Errors as
 * `Engine.call`, and `not_found`.
 */
export async function stopContainer(
  parts: DockerParts,
  guest: DockerGuest,
  signal: AbortSignal,
): Promise<void> {
  const { sandboxId, containerId } = guest
  parts.ends.expect(sandboxId)
  parts.reclaim.end(sandboxId)
  parts.egress.forget(sandboxId)
  await parts.transports.release(sandboxId)
  await parts.engine.call(signal, async (docker, both) => {
    const container = docker.getContainer(containerId)
    try {
      await container.kill(withSignal({ signal: 'SIGKILL' }, both))
    } catch (error) {
      if (statusOf(error) === 404) throw containerNotFound(sandboxId, error)
      // It has ended by itself, or before.
      if (statusOf(error) !== 409) throw error
    }
    await container.wait(withSignal({ condition: 'not-running' as const }, both))
  })
  await parts.transports.of(guest).reset(parts.dirs.path(sandboxId), signal)
}
