import { patientSignal } from '../../lib/patience.ts'
import { statusOf } from './engine.ts'
import { findContainer, getContainer } from './find-container.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'
import { stopContainer } from './stop-container.ts'

/** Longest time for freezing or thawing a container, in milliseconds; usually some tens */
const freezeMs = 20_000
/** Longest time for ending its processes, in milliseconds */
const stopMs = 30_000

/**
 * Freezes a guest, or ends its processes. Whoever gives up after the engine was asked doesn't stop it: half a pause is
 * none of the conditions. A guest that is stopped already stays so. Errors as `Runtime.pause`.
 */
export async function pauseGuest(
  parts: DockerParts,
  guest: DockerGuest,
  { memory }: { memory: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { condition, pid } = await getContainer(parts, guest, signal)
  signal.throwIfAborted()
  if (!memory) {
    // Of a stopped one too: an earlier attempt may have ended half-way.
    return await stopContainer(parts, guest, patientSignal(stopMs)).catch(async (error) => {
      await expectNoMoreEnd(parts, guest)
      throw error
    })
  }
  if (condition === 'running') await freeze(parts, guest)
  if (condition !== 'stopped') parts.reclaim.begin(guest.sandboxId, pid)
}

/**
 * Freezes a running container. On failure it runs, as far as the engine can still be told. Errors as `Engine.call`, and
 * `not_found`.
 */
export async function freeze(parts: DockerParts, guest: DockerGuest): Promise<void> {
  const deadline = patientSignal(freezeMs)
  try {
    await parts.engine.call(deadline, (docker, both) =>
      docker.getContainer(guest.containerId).pause({ abortSignal: both }),
    )
  } catch (error) {
    // What is frozen already, or has ended meanwhile, the engine refuses.
    const found = await getContainer(parts, guest, deadline)
    if (isRefusal(error) && found.condition !== 'running') return
    await thaw(parts, guest).catch(() => {})
    throw error
  }
}

/** Thaws a frozen container; one that runs stays as it is. Errors as `Engine.call`, and `not_found`. */
export async function thaw(parts: DockerParts, guest: DockerGuest): Promise<void> {
  parts.reclaim.end(guest.sandboxId)
  const deadline = patientSignal(freezeMs)
  try {
    await parts.engine.call(deadline, (docker, both) =>
      docker.getContainer(guest.containerId).unpause({ abortSignal: both }),
    )
  } catch (error) {
    const found = await getContainer(parts, guest, deadline)
    if (found.condition !== 'running') throw error
  }
}

/** After a failed stop: the death of a guest that still runs is news again. */
async function expectNoMoreEnd(parts: DockerParts, guest: DockerGuest): Promise<void> {
  const found = await findContainer(parts, guest, patientSignal(freezeMs)).catch(() => undefined)
  if (found?.condition === 'running') parts.ends.unexpect(guest.sandboxId)
}

/** Engines say 409; the oldest ones 500 for some of it. */
function isRefusal(error: unknown): boolean {
  const status = statusOf(error instanceof Error ? error.cause : error)
  return status === 409 || status === 500
}
