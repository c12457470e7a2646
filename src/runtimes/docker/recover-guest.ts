import { toError } from '../../domain/error.ts'
import type { GuestCondition } from '../../domain/runtime.ts'
import { findContainer } from './find-container.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'

/** What a connection fails with where no agent will ever answer again; the rest may be load, and passes. */
const agentGone = ['ENOENT', 'ENOTSOCK', 'ELOOP', 'ECONNREFUSED']

/**
 * What a guest from before a restart is found as. A running container whose agent can't be reached just now is
 * `unavailable`, never gone: what is gone is removed. Errors else as `Engine.call`.
 */
export async function recoverGuest(
  parts: DockerParts,
  guest: DockerGuest,
  signal: AbortSignal,
): Promise<GuestCondition> {
  const found = await findContainer(parts, guest, signal)
  if (found === undefined) return 'gone'
  if (found.condition !== 'running') return found.condition
  try {
    const stream = await parts.transports.connect(found.guest, parts.dirs.path(guest.sandboxId), signal)
    stream.destroy()
    return 'running'
  } catch (error) {
    signal.throwIfAborted()
    if (!agentGone.includes(toError(error).errno ?? '')) throw error
    parts.log.warn({ err: error, sandboxId: guest.sandboxId }, 'a container runs, but not its agent')
    return 'gone'
  }
}
