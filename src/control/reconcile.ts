/**
 * Makes what exists agree with what is recorded: at the start of the server, after the engine was away, and every
 * half minute. Interrupted creates are undone, interrupted ends are completed, guests that died are recorded as
 * gone, running ones take traffic again, and guests that no row owns are removed.
 */
import { ServerError } from '../domain/error.ts'
import type { GuestHandle, RuntimeEvent } from '../domain/runtime.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { sleep } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import type { ControlContext } from './context.ts'

/** Time between two passes, in ms. */
const intervalMs = 30_000
/** How long one pass may take, in ms. */
const passTimeoutMs = 120_000
/** Sandboxes looked at side by side. */
const parallel = 8

/** One pass. Errors: `unavailable` when the node can't say what it has; whatever could be settled by then is. */
export async function reconcile(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  // Guests first, rows second: a row is written before its guest starts, so a guest without a row has no owner.
  const guests = new Map<string, GuestHandle>()
  for (const handle of await ctx.node.guests(signal)) guests.set(handle.sandboxId, handle)
  const rows = await ctx.store.sandboxes.list({})

  await forEachLimit(rows, parallel, ({ id }) =>
    ctx.lifecycle.exclusive(id, async (row) => {
      const guest = guests.get(id)
      guests.delete(id)
      if (row !== undefined) await settle(ctx, row, guest, signal)
    }),
  )
  await forEachLimit(guests.values(), parallel, async (handle) => {
    if ((await ctx.store.sandboxes.find(handle.sandboxId)) !== undefined) return
    ctx.log.warn({ sandboxId: handle.sandboxId }, 'removing a guest that nobody owns')
    await ctx.node.destroy(handle, signal)
  })
}

async function settle(
  ctx: ControlContext,
  row: Sandbox,
  guest: GuestHandle | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { lifecycle, node } = ctx
  switch (row.state) {
    case 'creating':
      return lifecycle.end({ ...row, handle: row.handle ?? guest ?? null }, 'start-failed', signal)
    case 'killing':
      return lifecycle.end({ ...row, handle: row.handle ?? guest ?? null }, 'kill', signal)
    case 'running': {
      const outcome = row.handle === null ? 'gone' : await node.recover(row.handle, signal)
      if (outcome !== 'running') return lifecycle.end(row, 'guest-gone', signal)
      node.admit(row)
    }
  }
}

/** Passes until the signal aborts; a failed one is logged and tried again at the next interval. */
export async function runReconcile(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(intervalMs, signal).catch(() => {})
    if (!signal.aborted) await reconcileNow(ctx)
  }
}

/** One pass that never throws: what it can't do now is done by a later one. */
export async function reconcileNow(ctx: ControlContext): Promise<void> {
  try {
    await reconcile(ctx, AbortSignal.timeout(passTimeoutMs))
  } catch (error) {
    const away = error instanceof ServerError && error.code === 'unavailable'
    ctx.log[away ? 'warn' : 'error']({ err: error }, 'reconciliation is put off to the next pass')
  }
}

/** What to do about what the runtime reports. The listener never throws. */
export function runtimeListener(ctx: ControlContext): (event: RuntimeEvent) => void {
  let away = false
  return (event) => {
    switch (event.type) {
      case 'engine-down':
        away = true
        return ctx.log.error(
          { reason: event.reason },
          'the engine does not answer: creating and killing answer 503 until it does',
        )
      case 'engine-up':
        if (away) ctx.log.info({}, 'the engine answers again')
        away = false
        return void reconcileNow(ctx)
      case 'guest-gone':
        return void guestGone(ctx, event.sandboxId)
    }
  }
}

async function guestGone(ctx: ControlContext, id: string): Promise<void> {
  try {
    await ctx.lifecycle.exclusive(id, async (row) => {
      if (row?.state !== 'running') return
      ctx.log.warn({ sandboxId: id }, 'a sandbox ended by itself')
      await ctx.lifecycle.end(row, 'guest-gone', AbortSignal.timeout(passTimeoutMs))
    })
  } catch (error) {
    ctx.log.warn({ sandboxId: id, err: error }, 'a sandbox that ended by itself is left to reconciliation')
  }
}
