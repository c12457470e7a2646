/**
 * Freezing and thawing of containers. The kernel needs a moment in which no process is being made: with control groups
 * of version 1 an engine may not find one in a busy sandbox and gives up, so what fails in passing is tried again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ServerError } from '../../domain/error.ts'
import { patientSignal } from '../../lib/patience.ts'
import { reasonOf, statusOf } from './engine.ts'
import { type FoundContainer, getContainer } from './find-container.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'

/** Longest time for freezing or thawing a container, in milliseconds; usually some tens */
const freezeMs = 20_000
/** Pauses between tries, in milliseconds: doubled from the first to the last */
const retryPauseMs = { first: 50, last: 1000 }
/** When those whose sandbox couldn't be frozen may come again, in seconds */
const retryAfterS = 2

type Parts = Pick<DockerParts, 'engine' | 'instanceId' | 'reclaim' | 'freezer' | 'log'>

/**
 * Freezes a running container; false where it has ended meanwhile. On failure it runs, as far as the engine can still be
 * told. Errors as `Engine.call`, `not_found`, and `unavailable` when it can't be frozen in time.
 */
export async function freeze(parts: Parts, guest: DockerGuest, timeoutMs = freezeMs): Promise<boolean> {
  return await insist(parts, guest, timeoutMs, async (deadline) => {
    try {
      await parts.engine.call(deadline, (docker, both) =>
        docker.getContainer(guest.containerId).pause({ abortSignal: both }),
      )
      return true
    } catch (error) {
      // What is frozen already, or has ended meanwhile, the engine refuses.
      const found = await getContainer(parts, guest, patientSignal(freezeMs))
      if (isRefusal(error) && found.condition !== 'running') return found.condition === 'paused'
      // So does what keeps its containers, where that has frozen one for an engine that died before it knew.
      if (isRefusal(error) && /\bpaused\b/i.test(reasonOf(causeOf(error)))) {
        await parts.freezer.set(found, true, patientSignal(freezeMs))
        return true
      }
      // Half frozen is none of the conditions.
      await thawOnce(parts, guest, patientSignal(freezeMs)).catch(() => {})
      throw error
    }
  })
}

/** Freezes a container by one call. False where the engine refuses, whatever the container is then. Never rejects. */
export async function freezeAtOnce({ engine }: Parts, { containerId }: DockerGuest): Promise<boolean> {
  if (containerId === '') return false
  return await asked(
    engine.call(patientSignal(freezeMs), (docker, both) =>
      docker.getContainer(containerId).pause({ abortSignal: both }),
    ),
  )
}

/** Thaws one that its engine knows as frozen, by one call. As `freezeAtOnce`. */
export async function thawAtOnce({ engine, reclaim }: Parts, guest: DockerGuest): Promise<boolean> {
  if (guest.containerId === '') return false
  reclaim.end(guest.sandboxId)
  return await asked(
    engine.call(patientSignal(freezeMs), (docker, both) =>
      docker.getContainer(guest.containerId).unpause({ abortSignal: both }),
    ),
  )
}

async function asked(call: Promise<unknown>): Promise<boolean> {
  return await call.then(
    () => true,
    () => false,
  )
}

/** Thaws a frozen container; one that runs stays as it is. Errors as `freeze`. */
export async function thaw(parts: Parts, guest: DockerGuest): Promise<void> {
  parts.reclaim.end(guest.sandboxId)
  await insist(parts, guest, freezeMs, (deadline) => thawOnce(parts, guest, deadline))
}

async function thawOnce(parts: Parts, guest: DockerGuest, deadline: AbortSignal): Promise<void> {
  try {
    await parts.engine.call(deadline, (docker, both) =>
      docker.getContainer(guest.containerId).unpause({ abortSignal: both }),
    )
  } catch (error) {
    const found = await getContainer(parts, guest, deadline)
    if (found.condition !== 'running') throw error
    if (await parts.freezer.isFrozen(found, deadline)) await parts.freezer.set(found, false, deadline)
  }
}

/**
 * What a container is, also where an engine that died in the middle of a freeze or thaw doesn't know it: paused, then,
 * and with its processes frozen. Errors as `Engine.call`.
 */
export async function trueCondition(
  { freezer, log }: Pick<DockerParts, 'freezer' | 'log'>,
  found: FoundContainer,
  signal: AbortSignal,
): Promise<FoundContainer['condition']> {
  if (found.condition === 'stopped') return 'stopped'
  const frozen = await freezer.isFrozen(found, signal)
  if (frozen === undefined || frozen === (found.condition === 'paused')) return found.condition
  const { sandboxId } = found.guest
  log.warn({ sandboxId, frozen }, 'the engine is mistaken about whether a container is frozen')
  if (!frozen) await freezer.set(found, true, signal)
  return 'paused'
}

/** Tries until it works, the time is over or something fails that won't pass. */
async function insist<T>(
  { log }: Parts,
  { sandboxId }: DockerGuest,
  timeoutMs: number,
  attempt: (deadline: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = patientSignal(timeoutMs)
  let pauseMs = retryPauseMs.first
  for (;;) {
    try {
      return await attempt(deadline)
    } catch (error) {
      if (!isPassing(error) && !deadline.aborted) throw error
      log.debug({ err: error, sandboxId }, 'the engine could not freeze or thaw a container')
      await delay(pauseMs, undefined, { signal: deadline }).catch(() => {})
      if (deadline.aborted) throw tooBusy(sandboxId, error)
      pauseMs = Math.min(pauseMs * 2, retryPauseMs.last)
    }
  }
}

function tooBusy(sandboxId: string, cause: unknown): ServerError {
  const message = `Sandbox ${sandboxId} is too busy to be paused or resumed now. Try again.`
  return new ServerError('unavailable', message, { cause, retryAfterS })
}

/** Faults of the engine, its runtime and their deadlines while control groups change; refusals of a request aren't. */
function isPassing(error: unknown): boolean {
  const cause = causeOf(error)
  return (
    (statusOf(cause) ?? 0) >= 500 && /freez|thaw|timed? ?out|deadline|temporarily|busy/i.test(reasonOf(cause))
  )
}

/** Engines say 409; the oldest ones 500 for some of it. */
function isRefusal(error: unknown): boolean {
  const status = statusOf(causeOf(error))
  return status === 409 || status === 500
}

function causeOf(error: unknown): unknown {
  return error instanceof ServerError ? error.cause : error
}
