import { setTimeout as delay } from 'node:timers/promises'
import type { Egress } from '../../domain/network.ts'
import { abortable } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import { getContainer } from './find-container.ts'
import { freeze, thaw, thawAtOnce, trueCondition } from './freeze.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'
import { endShim, isStaleTask } from './stale-task.ts'
import { awaitAgent, launchMs, runContainer } from './start-container.ts'
import { stopContainer } from './stop-container.ts'

/** Longest time for undoing a failed boot, in milliseconds */
const undoMs = 20_000
/** How long a caller waits for that, in milliseconds; then it goes on without */
const undoWaitMs = 5_000
/** How often, and after which pause in milliseconds, a container is started whose last task is being cleared */
const staleTaskTries = 15
const staleTaskMs = 200

/** Makes a guest run, from whatever condition. Errors as `Runtime.resume`. */
export async function resumeGuest(
  parts: DockerParts,
  known: DockerGuest,
  egress: Egress | undefined,
  signal: AbortSignal,
): Promise<{ guest: DockerGuest; booted: boolean }> {
  signal.throwIfAborted()
  // As a rule it is frozen, and nothing is to be changed before it runs.
  if (egress === undefined && (await thawAtOnce(parts, known)))
    return await reached(parts, known, 'paused', signal)
  const found = await getContainer(parts, known, signal)
  const { guest } = found
  const condition = await trueCondition(parts, found, signal)
  signal.throwIfAborted()
  if (condition === 'stopped') {
    const release = await parts.slots.acquire(signal)
    try {
      return { guest: await boot(parts, guest, egress, signal), booted: true }
    } finally {
      release()
    }
  }
  // Its rules are there, unless a crash came between their change and its record.
  if (egress !== undefined) await parts.egress.set(guest, egress, signal)
  if (condition === 'paused') await thaw(parts, guest)
  return await reached(parts, guest, condition, signal)
}

/** Waits for the agent of a guest that runs by now. */
async function reached(
  parts: DockerParts,
  guest: DockerGuest,
  was: 'paused' | 'running' | 'unreachable' | 'cut-off',
  signal: AbortSignal,
): Promise<{ guest: DockerGuest; booted: boolean }> {
  try {
    // One that runs already may have come from a boot that a crash interrupted.
    const bound = was === 'running' ? parts.views.bind(guest) : undefined
    await Promise.all([awaitAgent(guest, agentOptions(parts, guest), signal), bound])
    parts.ends.unexpect(guest.sandboxId)
    return { guest, booted: false }
  } catch (error) {
    if (was === 'paused') await freeze(parts, guest)
    throw error
  }
}

async function boot(
  parts: DockerParts,
  guest: DockerGuest,
  egress: Egress | undefined,
  signal: AbortSignal,
): Promise<DockerGuest> {
  const options = agentOptions(parts, guest)
  const deadline = patientSignal(launchMs)
  parts.ends.expect(guest.sandboxId)
  await parts.network.ensure(signal)
  await options.transport.reset(options.directory, deadline)
  const running = runAgain(parts, guest.containerId, options, deadline)
  try {
    const booted = { ...guest, port: await abortable(running, signal) }
    // Each boot has a network of its own, which is open.
    const closed =
      egress === 'closed' ? parts.egress.set(booted, 'closed', signal, { isFresh: true }) : undefined
    await Promise.all([awaitAgent(booted, options, signal), parts.views.bind(guest), closed])
    parts.ends.unexpect(guest.sandboxId)
    return booted
  } catch (error) {
    await Promise.race([undo(parts, guest, running), delay(undoWaitMs, undefined, { ref: false })])
    throw error
  }
}

/** Runs a stopped container, also past what a killed engine has left of its last run. Errors as `runContainer`. */
async function runAgain(
  parts: DockerParts,
  containerId: string,
  options: Parameters<typeof runContainer>[1],
  deadline: AbortSignal,
): Promise<number> {
  for (let tries = staleTaskTries; ; tries--) {
    try {
      return await runContainer(containerId, options, deadline)
    } catch (error) {
      if (tries === 0 || !isStaleTask(error) || !(await parts.engineHost.isOurs(deadline))) throw error
      if (await endShim(containerId))
        parts.log.warn({ containerId }, 'what a killed engine left of a container is cleared')
      await delay(staleTaskMs)
    }
  }
}

/** Waits for the engine to finish, as what it is still starting can't be stopped yet. Never rejects. */
async function undo(parts: DockerParts, guest: DockerGuest, running: Promise<unknown>): Promise<void> {
  await running.catch(() => {})
  try {
    await stopContainer(parts, guest, patientSignal(undoMs))
  } catch (error) {
    parts.log.warn({ err: error, sandboxId: guest.sandboxId }, 'a failed boot is not undone yet')
  }
}

function agentOptions(parts: DockerParts, guest: DockerGuest) {
  return {
    engine: parts.engine,
    network: parts.network,
    transport: parts.transports.of(guest),
    directory: parts.dirs.path(guest.sandboxId),
  }
}
