/**
 * Makes what exists agree with what is recorded: at the start of the server, after the engine was away, and every
 * half minute. What a crash interrupted is completed or undone (`settle`), running sandboxes take traffic again, and
 * guests and images that nothing refers to are removed, an interval after they were first seen at the earliest.
 */

import { setMaxListeners } from 'node:events'
import { ServerError } from '../domain/error.ts'
import type { GuestHandle, RuntimeEvent } from '../domain/runtime.ts'
import { sleep } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'
import { settle } from './settle.ts'
import { settleBuilds } from './settle-builds.ts'
import { dropIncomplete } from './snapshots.ts'

/** Time between two passes, in ms. */
const intervalMs = 30_000
/** How long one pass may take, in ms. */
const passTimeoutMs = 120_000
/** Sandboxes looked at side by side. */
const parallel = 8

/** One pass. Errors: `unavailable` when the node can't say what it has; whatever could be settled by then is. */
export async function reconcile(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  // One listener for each that is under way at a time, more than Node expects.
  setMaxListeners(0, signal)
  // What exists first, rows second: a row is written before its guest or image is made, so what has no row by now
  // has no owner.
  const guests = new Map<string, GuestHandle>()
  for (const handle of await ctx.node.guests(signal)) guests.set(handle.sandboxId, handle)
  const images = await ctx.node.images.list(signal)
  const rows = await ctx.store.sandboxes.list({})

  // A sandbox that can't be settled now keeps nothing else from it.
  const settling = forEachLimit(rows, parallel, ({ id }) =>
    ctx.lifecycle.exclusive(
      id,
      async (row) => {
        const guest = guests.get(id)
        guests.delete(id)
        if (row !== undefined) await settle(ctx, row, signal, { guest })
      },
      signal,
    ),
  )
  const [settled] = await Promise.allSettled([settling])
  await removeGuests(ctx, guests, signal)
  await settleSnapshots(ctx, signal)
  await settleBuilds(ctx)
  await removeImages(ctx, images, signal)
  await ctx.builder.removePrivateImages(signal)
  if (settled.status === 'rejected') throw settled.reason
}

/** Removes those of `guests` that have no row. */
async function removeGuests(
  ctx: ControlContext,
  guests: Map<string, GuestHandle>,
  signal: AbortSignal,
): Promise<void> {
  for (const id of guests.keys()) {
    const isOwned = ctx.builder.owns(id) || ctx.node.owns(id)
    if (isOwned || (await ctx.store.sandboxes.find(id)) !== undefined) guests.delete(id)
  }
  const ahead = await startedAhead(ctx, guests)
  const due = new Set([...ctx.orphans.due('guest', [...guests.keys()]), ...ahead])
  await forEachLimit(guests.entries(), parallel, async ([sandboxId, handle]) => {
    if (!due.has(sandboxId)) {
      ctx.log.warn({ sandboxId }, 'a guest that nobody owns is removed soon')
      return
    }
    ctx.log.warn({ sandboxId }, 'removing a guest that nobody owns')
    await ctx.node.destroy(handle, signal)
    if (ahead.has(sandboxId)) await ctx.store.warmGuests.remove(sandboxId)
  })
}

/**
 * Those of `guests`, which have no owner, that a crash has left before they got one. Nothing of them is worth keeping. Records of
 * what isn't there, or has a row that speaks for it, go.
 */
async function startedAhead(
  ctx: ControlContext,
  guests: ReadonlyMap<string, GuestHandle>,
): Promise<Set<string>> {
  const ahead = new Set<string>()
  for (const id of await ctx.store.warmGuests.list()) {
    if (ctx.node.owns(id)) continue
    if (guests.has(id)) ahead.add(id)
    else await ctx.store.warmGuests.remove(id)
  }
  return ahead
}

/**
 * Copies that a crash left incomplete, and those of forks that are over. Whoever is at work on one holds its
 * sandbox's turn, or its own.
 */
async function settleSnapshots(ctx: ControlContext, signal: AbortSignal): Promise<void> {
  const { builds } = ctx.store
  const incomplete = await builds.list({ statuses: ['building'], isSnapshot: true })
  await forEachLimit(incomplete, parallel, ({ id, origin }) =>
    ctx.lifecycle.exclusive(
      origin?.sandboxId ?? id,
      async () => {
        const build = await builds.find(id)
        if (build?.status === 'building') await dropIncomplete(ctx, build, signal)
      },
      signal,
    ),
  )
  const ofForks = await builds.list({ kind: 'fork', statuses: ['ready'] })
  await forEachLimit(ofForks, parallel, ({ id }) =>
    ctx.lifecycle.exclusive(id, () => builds.remove(id), signal),
  )
}

/** Removes those of `images` that no row refers to. One that is in use all the same stays for a later pass. */
async function removeImages(
  ctx: ControlContext,
  images: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  // Before the rows are read: a build lets go of an image once a row refers to it.
  const nobodys = images.filter((image) => !ctx.builder.owns(image))
  const kept = new Set<string | null>()
  for (const { image } of await ctx.store.builds.list({})) kept.add(image)
  for (const { image } of await ctx.store.layers.list({})) kept.add(image)
  for (const { image } of await ctx.store.sandboxes.list({})) kept.add(image)
  const orphans = nobodys.filter((image) => !kept.has(image))
  for (const image of ctx.orphans.due('image', orphans)) {
    try {
      await ctx.node.images.remove(image, signal)
      ctx.log.info({ image }, 'removed an image that nothing refers to')
    } catch (error) {
      if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
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
    await reconcile(ctx, patientSignal(passTimeoutMs))
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
          'the engine does not answer: creating answers 503 until it does, and what is killed by then goes after that',
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
      await settle(ctx, row, patientSignal(passTimeoutMs))
    })
  } catch (error) {
    ctx.log.warn({ sandboxId: id, err: error }, 'a sandbox that ended by itself is left to reconciliation')
  }
}
