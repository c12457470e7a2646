import { ServerError, toError } from '../../domain/error.ts'
import type { GuestCondition } from '../../domain/runtime.ts'
import { isDeserted } from '../../lib/is-deserted.ts'
import { findContainer } from './find-container.ts'
import { trueCondition } from './freeze.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'

/** Another engine knows nothing of a guest, and so can't say that it is gone. Errors: `unavailable`. */
async function checkEngine(
  { engineHost }: DockerParts,
  { engine, sandboxId }: DockerGuest,
  signal: AbortSignal,
): Promise<void> {
  if (engine === undefined || engine === (await engineHost.info(signal)).id) return
  throw new ServerError(
    'unavailable',
    `Sandbox ${sandboxId} is on another Docker engine than the one that answers. Start the server with that one ` +
      '(DOCKER_HOST), or kill the sandbox.',
  )
}

/**
 * What a guest from before a restart is found as. While there is a container it is never `gone`, whatever its agent
 * does: what is gone is removed. Errors as `Engine.call`.
 */
export async function recoverGuest(
  parts: DockerParts,
  guest: DockerGuest,
  signal: AbortSignal,
): Promise<GuestCondition> {
  const found = await findContainer(parts, guest, signal)
  if (found === undefined) {
    await checkEngine(parts, guest, signal)
    return 'gone'
  }
  // A frozen agent's socket takes connections all the same.
  const condition = await trueCondition(parts, found, signal)
  if (condition !== 'running') return condition
  try {
    const stream = await parts.transports.connect(found.guest, parts.dirs.path(guest.sandboxId), signal)
    stream.destroy()
    return 'running'
  } catch (error) {
    signal.throwIfAborted()
    parts.log.warn(
      { err: error, sandboxId: guest.sandboxId },
      'a container runs, but its agent does not answer',
    )
    return isDeserted(toError(error)) ? 'cut-off' : 'unreachable'
  }
}
