import { toError } from '../../domain/error.ts'
import { instanceLabel, sandboxLabel } from './container.ts'
import { statusOf } from './engine.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'

/** What a connection fails with where no agent will ever answer again; the rest may be load, and passes. */
const agentGone = ['ENOENT', 'ENOTSOCK', 'ELOOP', 'ECONNREFUSED']

/**
 * Whether a guest from before a restart still runs and answers. A running container whose agent can't be reached just
 * now is `unavailable`, never gone: what is gone is removed. Errors else as `Engine.call`.
 */
export async function recoverGuest(
  parts: DockerParts,
  guest: DockerGuest,
  signal: AbortSignal,
): Promise<'running' | 'gone'> {
  if (!(await isRunning(parts, guest, signal))) return 'gone'
  try {
    const stream = await parts.transports.connect(guest, parts.dirs.path(guest.sandboxId), signal)
    stream.destroy()
    return 'running'
  } catch (error) {
    signal.throwIfAborted()
    if (!agentGone.includes(toError(error).errno ?? '')) throw error
    parts.log.warn({ err: error, sandboxId: guest.sandboxId }, 'a container runs, but not its agent')
    return 'gone'
  }
}

function isRunning(
  { engine, instanceId }: DockerParts,
  guest: DockerGuest,
  signal: AbortSignal,
): Promise<boolean> {
  return engine.call(signal, async (docker, both) => {
    if (guest.containerId === '') return false
    try {
      const { Config, State } = await docker.getContainer(guest.containerId).inspect({ abortSignal: both })
      const ours =
        Config.Labels[instanceLabel] === instanceId && Config.Labels[sandboxLabel] === guest.sandboxId
      return ours && State.Running
    } catch (error) {
      if (statusOf(error) === 404) return false
      throw error
    }
  })
}
