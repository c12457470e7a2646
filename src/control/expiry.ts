/**
 * Deadlines. They are absolute times in the store, looked at four times a second, so that they hold over restarts
 * and jumps of the clock with nothing to keep in step.
 */
import { sleep } from '../lib/deadline.ts'
import type { ControlContext } from './context.ts'

/** Time between two looks, in ms; the bound on how late a deadline is noticed. */
const intervalMs = 250
/** Deadlines handled per look. */
const batch = 256
/** How long ending one sandbox may take, in ms. */
const endTimeoutMs = 30_000

/** Ends sandboxes whose time has come, until the signal aborts. */
export async function runExpiry(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  const ending = new Set<string>()
  while (!signal.aborted) {
    try {
      const now = ctx.clock.now()
      const due = await ctx.store.sandboxes.list({
        states: ['running'],
        endAtMost: now,
        limit: batch,
        order: 'asc',
      })
      for (const { id } of due) {
        if (ending.has(id)) continue
        ending.add(id)
        void expire(ctx, id).finally(() => ending.delete(id))
      }
    } catch (error) {
      ctx.log.error({ err: error }, 'deadlines could not be looked at')
    }
    await sleep(intervalMs, signal).catch(() => {})
  }
}

async function expire(ctx: ControlContext, id: string): Promise<void> {
  try {
    await ctx.lifecycle.exclusive(id, async (sandbox) => {
      if (sandbox?.state !== 'running' || sandbox.endAt > ctx.clock.now()) return
      await ctx.lifecycle.end(sandbox, 'expire', AbortSignal.timeout(endTimeoutMs))
    })
  } catch (error) {
    ctx.log.warn({ sandboxId: id, err: error }, 'an expired sandbox is left to reconciliation')
  }
}
