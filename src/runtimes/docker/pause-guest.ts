import { patientSignal } from '../../lib/patience.ts'
import { findContainer, getContainer } from './find-container.ts'
import { freeze, freezeAtOnce, thaw, trueCondition } from './freeze.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'
import { stopContainer } from './stop-container.ts'

/** Longest time for finding out what a guest is, in milliseconds */
const findMs = 20_000
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
): Promise<{ memory: boolean }> {
  signal.throwIfAborted()
  // As a rule it runs and can be frozen: what else it may be is found out only where the engine refuses.
  if (memory && (await freezeAtOnce(parts, guest))) {
    const pid = async () => (await getContainer(parts, guest, patientSignal(findMs))).pid
    parts.reclaim.begin(guest.sandboxId, pid)
    return { memory: true }
  }
  const found = await getContainer(parts, guest, signal)
  const condition = await trueCondition(parts, found, signal)
  signal.throwIfAborted()
  if (!memory) {
    // Of a stopped one too: an earlier attempt may have ended half-way.
    await stopContainer(parts, guest, patientSignal(stopMs)).catch(async (error) => {
      await expectNoMoreEnd(parts, guest)
      throw error
    })
    return { memory: false }
  }
  // Where it is frozen and the engine doesn't know, it is told.
  if (condition !== found.condition) await thaw(parts, guest)
  if (condition === 'stopped' || (found.condition === 'running' && !(await freeze(parts, guest))))
    return { memory: false }
  parts.reclaim.begin(guest.sandboxId, async () => found.pid)
  return { memory: true }
}

/** After a failed stop: the death of a guest that still runs is news again. */
async function expectNoMoreEnd(parts: DockerParts, guest: DockerGuest): Promise<void> {
  const found = await findContainer(parts, guest, patientSignal(findMs)).catch(() => undefined)
  if (found?.condition === 'running') parts.ends.unexpect(guest.sandboxId)
}
