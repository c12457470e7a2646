/** A guest's processes, all stopped or all running. */
import { ServerError } from '../../domain/error.ts'
import { sleep } from '../../lib/deadline.ts'
import type { ProcessId } from './handle.ts'
import { findProcess, guestProcesses, isAlive, parentsFirst, signalProcess } from './proc-table.ts'

/** Rounds of looking for a guest's processes and stopping them; one that forks loses after a few */
const roundsMax = 200
/** Rounds in which children wait for their parents to stop, one after another without much of a pause */
const politeRounds = 20
/** Pause between the rounds after these, in milliseconds */
const roundMs = 10
/** Rounds in which a process that waits in the kernel may come out of it; then it counts as stopped */
const nudgesMax = 10
/** Rounds that find nothing to stop before all counts as stopped: a list of children may lack one while another ends */
const stillRounds = 2

/** Whether the agent lives and is stopped, as the first of a guest's processes to stop and the last to go on. */
export async function isFrozen(agent: ProcessId): Promise<boolean> {
  const found = agent.pid > 0 ? await findProcess(agent.pid) : undefined
  return found !== undefined && found.startTicks === agent.startTicks && isStopped(found.state)
}

/**
 * Stops the agent and every process of its guest, each when its parent stands still: a shell that would see its child
 * stop would take the terminal back. Idempotent. On failure some are stopped. Errors: `not_found`
 * (the agent has ended), `internal`, the signal's reason.
 */
export async function freezeGuest(agent: ProcessId, home: string, signal: AbortSignal): Promise<void> {
  const told = new Set<string>()
  for (let round = 0, nudges = nudgesMax, still = 0; round < roundsMax; round++) {
    signal.throwIfAborted()
    const members = await guestProcesses(agent, home)
    const awake = members.filter(({ state }) => !isStopped(state))
    // One that waits in the kernel stops when its wait is over, before it runs any code of its program.
    const waiting = awake.filter((entry) => entry.state === 'D' && told.has(nameOf(entry)))
    const isStill = awake.length === 0 || (nudges === 0 && waiting.length === awake.length)
    still = isStill && (await isFrozen(agent)) ? still + 1 : 0
    if (still === stillRounds) return
    if (!(await isAlive(agent))) throw new ServerError('not_found', 'The sandbox has ended meanwhile.')
    const awakePids = new Set(awake.filter((entry) => !waiting.includes(entry)).map(({ pid }) => pid))
    for (const entry of awake) {
      if (round < politeRounds && awakePids.has(entry.parent)) continue
      told.add(nameOf(entry))
      await signalProcess(entry, 'SIGSTOP')
    }
    // A parent in vfork waits until its child runs a program: the child may go on until the next round.
    if (waiting.length > 0 && nudges > 0) {
      nudges--
      for (const entry of members) {
        if (!isStopped(entry.state) || !waiting.some(({ pid }) => pid === entry.parent)) continue
        await signalProcess(entry, 'SIGCONT')
      }
    }
    await sleep(round < politeRounds ? 1 : roundMs, signal)
  }
  throw new ServerError('internal', 'The processes of the sandbox could not be stopped.')
}

/** Lets all of them go on, children first. Idempotent. */
export async function thawGuest(agent: ProcessId, home: string): Promise<void> {
  for (const entry of parentsFirst(await guestProcesses(agent, home)).reverse()) {
    await signalProcess(entry, 'SIGCONT')
  }
}

function isStopped(state: string): boolean {
  return state === 'T' || state === 't'
}

function nameOf({ pid, startTicks }: ProcessId): string {
  return `${pid} ${startTicks}`
}
