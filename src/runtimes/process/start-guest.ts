import { setTimeout as delay } from 'node:timers/promises'
import { ServerError } from '../../domain/error.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import { type Agent, awaitAgent, killGuest, spawnAgent } from './agent-process.ts'
import type { Faults } from './faults.ts'
import type { GuestDirs, Owner } from './guest-dir.ts'

/** Longest time from the agent's start to its first answer, in milliseconds */
const readyMs = 10_000
/** Longest time for undoing a failed start, in milliseconds */
const undoMs = 10_000

export interface StartOptions {
  dirs: GuestDirs
  /** Path of the agent, where its user can run it */
  binary: string
  owner: Owner | undefined
  faults: Faults
  /** Told when a failed start could not be undone at once; `list` finds what is left */
  onRemainder: (error: unknown) => void
}

/** Starts a guest, or leaves nothing. Errors: `conflict`, `internal`, `failed_precondition` (faults). */
export async function startGuest(
  sandboxId: string,
  options: StartOptions,
  signal: AbortSignal,
): Promise<Agent> {
  const { dirs, faults } = options
  signal.throwIfAborted()
  await dirs.create(sandboxId)
  try {
    if (faults.diskFull) await dirs.shrinkDisk(sandboxId)
    if (faults.startDelayMs) await delay(faults.startDelayMs, undefined, { signal })
    const agent = await spawnAgent({ ...options, sandboxId })
    await dirs.writeState(sandboxId, agent)
    if (faults.failStart) {
      throw new ServerError('internal', 'The sandbox could not be started (requested fault).')
    }
    await untilReady(agent.ended, dirs.agent(sandboxId), signal)
    return agent
  } catch (error) {
    await removeGuest(sandboxId, dirs, AbortSignal.timeout(undoMs)).catch(options.onRemainder)
    throw signal.aborted ? signal.reason : error
  }
}

/** Removes everything a guest has or had. Idempotent. */
export async function removeGuest(sandboxId: string, dirs: GuestDirs, signal: AbortSignal): Promise<void> {
  await killGuest(await dirs.readState(sandboxId), dirs.home(sandboxId), signal)
  await dirs.remove(sandboxId, signal)
}

async function untilReady(ended: Promise<string>, directory: string, signal: AbortSignal): Promise<void> {
  const bounded = linkSignals([signal], readyMs)
  const settled = new AbortController()
  const either = linkSignals([bounded.signal, settled.signal])
  const died = ended.then((how) => {
    throw new ServerError('internal', `The sandbox's agent ended at once: ${how}.`)
  })
  try {
    await Promise.race([awaitAgent(directory, either.signal), died])
  } catch (error) {
    if (signal.aborted || !bounded.signal.aborted) throw error
    throw new ServerError('internal', `The sandbox's agent did not answer within ${readyMs / 1000} s.`, {
      cause: error,
    })
  } finally {
    settled.abort()
    bounded.dispose()
    either.dispose()
    died.catch(() => {})
  }
}
