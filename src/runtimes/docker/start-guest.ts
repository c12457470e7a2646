import { setTimeout as delay } from 'node:timers/promises'
import { ServerError } from '../../domain/error.ts'
import type { GuestSpec } from '../../domain/runtime.ts'
import type { EndPhase } from '../../domain/telemetry.ts'
import { abortable } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'
import { removeGuest } from './remove-guest.ts'
import { awaitAgent, launchContainer } from './start-container.ts'

/** Longest time for undoing a failed start, in milliseconds */
const undoMs = 20_000
/** How long a caller waits for that, in milliseconds; then it goes on without */
const undoWaitMs = 5_000

/** Starts a guest, or leaves nothing. The spec is valid. Errors: `conflict`, and those of `Runtime.start`. */
export async function startGuest(
  parts: DockerParts,
  spec: GuestSpec,
  { signal, phase }: { signal: AbortSignal; phase: EndPhase | undefined },
): Promise<DockerGuest> {
  const { sandboxId } = spec
  await parts.network.ensure(signal)
  phase?.('network')
  const transport = await parts.transports.forStart(signal)
  const directory = await parts.dirs.create(sandboxId)
  parts.ends.expect(sandboxId)
  const options = { ...parts, transport, directory }
  const launched = launchContainer(spec, options)
  try {
    const guest = await abortable(launched, signal)
    phase?.('start')
    // The agent does nothing yet, as nobody asks it to before this resolves.
    const closed =
      spec.egress === 'closed' ? parts.egress.set(guest, 'closed', signal, { isFresh: true }) : undefined
    await Promise.all([awaitAgent(guest, options, signal), parts.views.bind(guest), closed])
    parts.ends.unexpect(sandboxId)
    return guest
  } catch (error) {
    await Promise.race([undo(parts, sandboxId, launched), delay(undoWaitMs, undefined, { ref: false })])
    throw error
  }
}

/** Waits for the engine to finish, as what is still being created can't be removed yet. Never rejects. */
async function undo(parts: DockerParts, sandboxId: string, launched: Promise<unknown>): Promise<void> {
  const failure = await launched.catch((error) => error)
  const deadline = patientSignal(undoMs)
  try {
    // A container that was there before isn't ours to remove.
    if (failure instanceof ServerError && failure.code === 'conflict')
      await parts.dirs.remove(sandboxId, deadline)
    else await removeGuest(parts, sandboxId, deadline)
  } catch (error) {
    parts.log.warn({ err: error, sandboxId }, 'a failed start is not undone yet')
  }
}
