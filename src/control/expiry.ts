/**
 * Deadlines. They are absolute times in the store, looked at four times a second, so that they hold over restarts
 * and jumps of the clock with nothing to keep in step.
 */

import { sleep } from '../lib/deadline.ts'
import type { ControlContext } from './context.ts'
import { preempt } from './kill-sandbox.ts'
import { pause } from './pause-sandbox.ts'

/** Time between two looks, in ms; the bound on how late a deadline is noticed. */
const intervalMs = 250
/** Deadlines handled per look. */
const batch = 256
/** How long a deadline that couldn't be carried out waits for its next try, in ms: doubled from the first to the last. */
const retryMs = { first: 1_000, last: 60_000 }

/** Kills or pauses sandboxes whose time has come, until the signal aborts. */
export async function runExpiry(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  const expiry = createExpiry(ctx)
  while (!signal.aborted) {
    try {
      await expiry.look()
    } catch (error) {
      ctx.log.error({ err: error }, 'deadlines could not be looked at')
    }
    await sleep(intervalMs, signal).catch(() => {})
  }
}

export interface Expiry {
  /** Takes up every deadline that has come. */
  look(): Promise<void>
  /** Resolves when what was taken up is done. */
  idle(): Promise<void>
}

/** The deadlines of a control plane, with what has to be remembered between two looks. */
export function createExpiry(ctx: ControlContext): Expiry {
  const ending = new Map<string, Promise<void>>()
  const failures = new Map<string, { waitMs: number; notBefore: number }>()

  const attempt = async (id: string) => {
    try {
      await expire(ctx, id)
      failures.delete(id)
    } catch (error) {
      const waitMs = Math.min((failures.get(id)?.waitMs ?? retryMs.first / 2) * 2, retryMs.last)
      failures.set(id, { waitMs, notBefore: performance.now() + waitMs })
      ctx.log.warn({ sandboxId: id, err: error, waitMs }, 'a deadline could not be carried out')
    }
  }

  return {
    async look() {
      const due = await ctx.store.sandboxes.list({
        states: ['running', 'snapshotting'],
        endAtMost: ctx.clock.now(),
        limit: batch + failures.size,
        order: 'asc',
      })
      const isDue = new Set(due.map(({ id }) => id))
      for (const id of failures.keys()) if (!isDue.has(id)) failures.delete(id)
      for (const id of isDue) {
        if (ending.has(id) || (failures.get(id)?.notBefore ?? 0) > performance.now()) continue
        ending.set(
          id,
          attempt(id).finally(() => ending.delete(id)),
        )
      }
    },
    async idle() {
      while (ending.size > 0) await Promise.all(ending.values())
    },
  }
}

/** A copy that is under way breaks off for an end, and is waited for by a pause. */
async function expire(ctx: ControlContext, id: string): Promise<void> {
  const due = await ctx.store.sandboxes.find(id)
  const since = performance.now()
  const ending = { event: 'expire', reason: 'timeout', cause: 'timeout', since } as const
  if (due?.state === 'snapshotting' && due.onTimeout === 'kill' && due.endAt <= ctx.clock.now()) {
    await preempt(ctx, id, ending)
  }
  await ctx.lifecycle.exclusive(id, async (sandbox) => {
    if (sandbox?.state !== 'running' || sandbox.endAt > ctx.clock.now()) return
    if (sandbox.onTimeout === 'kill') return ctx.endings.end(sandbox, ending)
    await pause(ctx, sandbox, { memory: sandbox.autoPauseMemory, reason: 'timeout', since })
  })
}
