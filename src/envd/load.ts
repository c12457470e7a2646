/**
 * What all sandboxes of a process share when their API is served, and none may use up: memory for what is on its way, and
 * the turns of the event loop. Sandboxes are the keys of both.
 */
import { ServerError } from '../domain/error.ts'
import type { Guest } from '../guest/guest.ts'
import { type ByteBudget, createByteBudget } from '../lib/byte-budget.ts'
import { createWorkTurns, type WorkTurns } from '../lib/work-turns.ts'
import type { EnvdTarget } from './target.ts'

/** Requests and answers under way, as they are on the wire but uncompressed, of all sandboxes and of one. In bytes. */
const memoryMaxBytes = 256 * 1024 * 1024
const sandboxMemoryMaxBytes = 64 * 1024 * 1024
/** Steps that wait for their turn, for one sandbox and for all. */
const lineMax = 1_000
const waitingMax = 20_000

export interface Load {
  memory: ByteBudget
  turns: WorkTurns
}

export function createLoad(): Load {
  return {
    memory: createByteBudget({ maxBytes: memoryMaxBytes, keyMaxBytes: sandboxMemoryMaxBytes }),
    turns: createWorkTurns({ lineMax, waitingMax }),
  }
}

/** The target, with the answers of its agent counted. */
export function countAnswers(target: EnvdTarget, { memory }: Load): EnvdTarget {
  const { guest, sandboxId } = target
  const counted: Guest = {
    ...(guest.lands === true && { lands: true }),
    connect: (signal, landing) => guest.connect(signal, landing),
    openAccount: () => memory.open(sandboxId),
  }
  return { ...target, guest: counted }
}

/**
 * Resolves when a step for the sandbox that is long enough to be felt may be made. Errors: `resource_exhausted` (too many
 * wait); the signal's reason.
 */
export async function takeTurn(
  { turns }: Load,
  { sandboxId }: EnvdTarget,
  signal: AbortSignal,
): Promise<void> {
  const turn = turns.take(sandboxId, signal)
  if (turn === undefined) throw tooMuchAtOnce()
  await turn
}

/** The error where a request finds no room. */
export function tooMuchAtOnce(): ServerError {
  const message = 'Too much is being served at once. Try again in a moment, with fewer requests at a time.'
  return new ServerError('resource_exhausted', message, { retryAfterS: 1 })
}
