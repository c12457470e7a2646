/**
 * Makes one sandbox's record and its guest agree again after a crash, or after an effect whose outcome isn't known:
 * what was under way is completed or undone, so that the row is in a state that lasts.
 *
 *  creating      undone: nobody was told of it
 *  running       its egress is what the row says, and it takes traffic; a guest that was frozen by nobody's wish is thawed
 *  pausing       completed; where that fails, undone
 *  paused        left; a guest that runs all the same is paused again, one without an agent without its memory
 *  resuming      undone
 *  snapshotting  ends as running; the image that isn't recorded as complete is nobody's
 *  killing       completed
 *
 * A guest that died by itself ends its sandbox, but for one whose deadline is a pause: its owner counts on its files,
 * which are there, so it becomes a pause without memory. A guest without an agent (`cut-off`) is as good as dead. Only
 * of one that is gone nothing can be kept.
 */
import { ServerError, toError } from '../domain/error.ts'
import type { GuestCondition, GuestHandle } from '../domain/runtime.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { ControlContext } from './context.ts'
import { failed, type Told } from './lifecycle.ts'

/** Of what a crash has cut off. */
const interrupted = 'The server ended, or its engine, before this was done.'

export interface SettleOptions {
  /** What the node has under that id, where the row doesn't know yet */
  guest?: GuestHandle | undefined
  /** Why what was under way has failed; absent: nobody was there to see it */
  cause?: unknown
}

/**
 * Only inside `exclusive`. Errors: `unavailable` when the node doesn't answer; the row then stays as it is, for a later
 * pass.
 */
export async function settle(
  ctx: ControlContext,
  row: Sandbox,
  signal: AbortSignal,
  { guest, cause }: SettleOptions = {},
): Promise<void> {
  const { lifecycle } = ctx
  const handle = row.handle ?? guest ?? null
  if (row.state === 'creating') return lifecycle.undoStart({ ...row, handle }, interrupted, signal)
  if (row.state === 'killing') return lifecycle.end({ ...row, handle }, 'kill', 'unknown', signal)
  if (row.handle === null) return lifecycle.end(row, 'guest-gone', 'lost', signal)
  switch (row.state) {
    case 'running':
      return settleRunning(ctx, row, row.handle, signal)
    case 'pausing':
      return settlePausing(ctx, row, row.handle, signal)
    case 'paused':
      return settlePaused(ctx, row, row.handle, signal)
    case 'resuming':
      return settleResuming(ctx, { ...row, handle: row.handle }, cause, signal)
    case 'snapshotting':
      return settleRunning(ctx, await lifecycle.move(row, 'snapshotted'), row.handle, signal)
  }
}

async function settleRunning(
  ctx: ControlContext,
  row: Sandbox,
  handle: GuestHandle,
  signal: AbortSignal,
): Promise<void> {
  const condition = await ctx.node.recover(handle, signal)
  if (condition === 'running') {
    await ctx.node.applyEgress(row, signal)
    return ctx.lifecycle.admit(row)
  }
  if (condition === 'paused') {
    ctx.log.warn({ sandboxId: row.id }, 'a running sandbox was found frozen')
    await ctx.node.resume(row, { signal, phase: () => {} })
    return ctx.lifecycle.admit(row)
  }
  if (condition === 'unreachable') {
    throw new ServerError('unavailable', `Sandbox "${row.id}" runs, but its agent doesn't answer just now.`)
  }
  if (condition === 'gone') return ctx.lifecycle.end(row, 'guest-gone', 'lost', signal)
  if (row.onTimeout === 'pause') return keepFiles(ctx, row, handle, signal)
  return ctx.lifecycle.end(row, 'guest-gone', 'ended', signal)
}

/** The guest ended by itself and its files are there: a pause without memory. */
async function keepFiles(
  ctx: ControlContext,
  row: Sandbox,
  handle: GuestHandle,
  signal: AbortSignal,
): Promise<void> {
  ctx.log.warn(
    { sandboxId: row.id },
    'a sandbox ended by itself; its files are kept, as a pause without memory',
  )
  const pausing = await ctx.lifecycle.move(row, 'pause', { pausedWithMemory: false })
  await ctx.node.withdraw(row.id)
  await ctx.node.pause(handle, { memory: false }, signal)
  await recordPause(ctx, pausing, false, 'guest_ended')
}

async function settlePausing(
  ctx: ControlContext,
  row: Sandbox,
  handle: GuestHandle,
  signal: AbortSignal,
): Promise<void> {
  const condition = await ctx.node.recover(handle, signal)
  if (condition === 'gone') return ctx.lifecycle.end(row, 'guest-gone', 'lost', signal)
  await ctx.node.withdraw(row.id)
  let kept: { memory: boolean }
  try {
    const memory = row.pausedWithMemory === true && hasMemory(condition)
    kept = await ctx.node.pause(handle, { memory }, signal)
  } catch (error) {
    if (isAway(error)) throw error
    return undoPause(ctx, row, error, signal)
  }
  await recordPause(ctx, row, kept.memory, 'request')
}

/**
 * Back to running after a pause that failed. Where that takes a boot, the record says first that there is no memory: a server
 * that ends meanwhile must not take what it booted, maybe without its settings, for what was to be paused. Errors: `unavailable`.
 */
export async function undoPause(
  ctx: ControlContext,
  row: Sandbox,
  cause: unknown,
  signal: AbortSignal,
): Promise<void> {
  if (row.handle !== null && !hasMemory(await ctx.node.recover(row.handle, signal)))
    await ctx.lifecycle.forgetMemory(row)
  const { handle, booted } = await ctx.node.resume(row, { signal, phase: () => {} })
  const told = failed('pause', toError(cause).message, { processesLost: booted })
  const running = await ctx.lifecycle.move(row, 'pause-failed', { pausedWithMemory: null, handle }, told)
  if (booted) ctx.log.error({ sandboxId: row.id }, 'a pause failed and cost the sandbox its processes')
  ctx.lifecycle.admit(running)
}

/** The outcome of a pause. Until it is resumed its end is the time of the pause (e2b-behaviour 1.4). */
export function recordPause(
  ctx: ControlContext,
  row: Sandbox,
  memory: boolean,
  reason: string,
): Promise<Sandbox> {
  const memoryLost = row.pausedWithMemory === true && !memory
  ctx.log.info({ sandboxId: row.id, memory, memoryLost, reason }, 'sandbox paused')
  return ctx.lifecycle.move(
    row,
    'paused',
    { pausedWithMemory: memory, endAt: ctx.clock.now() },
    { type: 'paused', reason, detail: { memory, ...(memoryLost && { memoryLost }) } },
  )
}

async function settlePaused(
  ctx: ControlContext,
  row: Sandbox,
  handle: GuestHandle,
  signal: AbortSignal,
): Promise<void> {
  const condition = await ctx.node.recover(handle, signal)
  if (condition === 'gone') return ctx.lifecycle.end(row, 'guest-gone', 'lost', signal)
  if (condition === 'paused' || condition === 'stopped') return
  ctx.log.warn({ sandboxId: row.id, condition }, 'a paused sandbox was found running and is paused again')
  const memory = row.pausedWithMemory === true && hasMemory(condition)
  const lost: Told = { type: 'paused', reason: 'request', detail: { memory: false, memoryLost: true } }
  if (!memory) await ctx.lifecycle.forgetMemory(row, lost)
  const kept = await ctx.node.pause(handle, { memory }, signal)
  if (memory && !kept.memory) await ctx.lifecycle.forgetMemory(row, lost)
}

async function settleResuming(
  ctx: ControlContext,
  row: Sandbox & { handle: GuestHandle },
  cause: unknown,
  signal: AbortSignal,
): Promise<void> {
  const { handle } = row
  const condition = await ctx.node.recover(handle, signal)
  if (condition === 'gone') return ctx.lifecycle.end(row, 'guest-gone', 'lost', signal)
  // A frozen guest has its memory, whatever was to become of it; of memory that is lost the next resume tells.
  let pausedWithMemory = row.pausedWithMemory === true || condition === 'paused'
  if (condition !== 'paused' && condition !== 'stopped') {
    // Half-way: what was frozen is frozen again, what was booting may lack its settings and goes back to its files.
    pausedWithMemory &&= hasMemory(condition)
    if (!pausedWithMemory) await ctx.lifecycle.forgetMemory(row)
    pausedWithMemory = (await ctx.node.pause(handle, { memory: pausedWithMemory }, signal)).memory
  }
  const message = cause === undefined ? interrupted : toError(cause).message
  await ctx.lifecycle.move(row, 'resume-failed', { pausedWithMemory }, failed('resume', message))
}

/** Whether a guest has memory that can be kept. */
function hasMemory(condition: GuestCondition): boolean {
  return condition === 'running' || condition === 'unreachable' || condition === 'paused'
}

/** Whether an error says that the node couldn't be asked, so that nothing is known of the effect. */
export function isAway(error: unknown): boolean {
  const code = error instanceof ServerError ? error.code : undefined
  return code === 'unavailable' || code === 'deadline_exceeded' || code === 'canceled'
}
