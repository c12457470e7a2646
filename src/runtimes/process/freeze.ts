/** A guest's processes, all stopped or all running. */
import { ServerError } from '../../domain/error.ts'
import { sleep } from '../../lib/deadline.ts'
import type { ProcessId } from './handle.ts'
import { findProcess, guestProcesses, parentsFirst, signalProcess } from './proc-table.ts'

/** Rounds of looking for a guest's processes and stopping them; one that forks loses after a few */
const roundsMax = 200
/** Pause between rounds, in milliseconds */
const roundMs = 10
/** Rounds after which a process that can't be interrupted counts as stopped */
const patientRounds = 5

/** Whether the agent lives and is stopped, as the first of a guest's processes to stop and the last to go on. */
export async function isFrozen(agent: ProcessId): Promise<boolean> {
  const found = agent.pid > 0 ? await findProcess(agent.pid) : undefined
  return found !== undefined && found.startTicks === agent.startTicks && isStopped(found.state)
}

/**
 * Stops the agent and every process of its guest, parents first: a shell that would see its child stop would take the
 * terminal back. Idempotent. On failure some are stopped. Errors: `internal`, the signal's reason.
 */
export async function freezeGuest(agent: ProcessId, home: string, signal: AbortSignal): Promise<void> {
  const told = new Set<string>()
  for (let round = 0, patience = patientRounds; round < roundsMax; round++) {
    signal.throwIfAborted()
    const members = await guestProcesses(agent.pid, home)
    const awake = parentsFirst(members).filter(({ state }) => !isStopped(state))
    // One that waits in the kernel stops when its wait is over, before it runs any code of its program. A parent in
    // vfork waits for its child, which has been stopped itself.
    const isWaiting = awake.every((entry) => entry.state === 'D' && told.has(nameOf(entry)))
    patience = isWaiting ? patience - 1 : patientRounds
    if (awake.length === 0 || patience === 0) return
    for (const entry of awake) {
      told.add(nameOf(entry))
      await signalProcess(entry, 'SIGSTOP')
    }
    await sleep(round === 0 ? 1 : roundMs, signal)
  }
  throw new ServerError('internal', 'The processes of the sandbox could not be stopped.')
}

/** Lets all of them go on, children first. Idempotent. */
export async function thawGuest(agent: ProcessId, home: string): Promise<void> {
  for (const entry of parentsFirst(await guestProcesses(agent.pid, home)).reverse()) {
    await signalProcess(entry, 'SIGCONT')
  }
}

function isStopped(state: string): boolean {
  return state === 'T' || state === 't'
}

function nameOf({ pid, startTicks }: ProcessId): string {
  return `${pid} ${startTicks}`
}
