import { setTimeout as delay } from 'node:timers/promises'
import { patientSignal } from '../../lib/patience.ts'
import { type Agent, killGuest } from './agent-process.ts'
import { requestedFault } from './faults.ts'
import type { GuestDirs } from './guest-dir.ts'
import { launchAgent } from './launch-agent.ts'
import type { ProcessParts } from './parts.ts'

/** Longest time for undoing a failed start, in milliseconds */
const undoMs = 10_000

/**
 * Starts a guest, or leaves nothing. Errors: `not_found` (image), `conflict`, `resource_exhausted` (disk), `internal`,
 * `failed_precondition` (faults).
 */
export async function startGuest(
  parts: ProcessParts,
  { sandboxId, image }: { sandboxId: string; image: string },
  signal: AbortSignal,
): Promise<Agent> {
  const { dirs, images, faults, log } = parts
  images.check(image)
  signal.throwIfAborted()
  await dirs.create(sandboxId)
  try {
    if (faults.diskFull) await dirs.shrinkDisk(sandboxId)
    await images.copyTo(image, dirs.home(sandboxId), signal)
    if (faults.startDelayMs) await delay(faults.startDelayMs, undefined, { signal })
    const agent = await launchAgent(parts, { sandboxId, phase: 'live' }, signal)
    if (faults.failStart) throw requestedFault('started')
    parts.onStart(sandboxId, agent)
    return agent
  } catch (error) {
    await removeGuest(sandboxId, dirs, patientSignal(undoMs)).catch((remainder) =>
      log.warn({ err: remainder, sandboxId }, 'a failed start is not undone yet'),
    )
    throw signal.aborted ? signal.reason : error
  }
}

/** Removes everything a guest has or had. Idempotent. */
export async function removeGuest(sandboxId: string, dirs: GuestDirs, signal: AbortSignal): Promise<void> {
  await killGuest(await dirs.readState(sandboxId), dirs.home(sandboxId), signal)
  await dirs.remove(sandboxId, signal)
}
