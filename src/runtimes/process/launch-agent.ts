import { ServerError } from '../../domain/error.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import { type Agent, awaitAgent, spawnAgent } from './agent-process.ts'
import type { GuestPhase } from './guest-dir.ts'
import type { ProcessParts } from './parts.ts'

/** Longest time from the agent's start to its first answer, in milliseconds */
const readyMs = 10_000

/**
 * Spawns a guest's agent and waits until it accepts connections; meanwhile the guest's record has it with this phase.
 * On failure it may run. Errors: `internal`, the signal's reason.
 */
export async function launchAgent(
  { dirs, owner, binary }: ProcessParts,
  { sandboxId, phase }: { sandboxId: string; phase: GuestPhase },
  signal: AbortSignal,
): Promise<Agent> {
  signal.throwIfAborted()
  const agent = await spawnAgent({ binary: await binary(), sandboxId, dirs, owner })
  await dirs.writeState(sandboxId, { ...agent, phase })
  await untilReady(agent.ended, dirs.agent(sandboxId), signal)
  return agent
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
