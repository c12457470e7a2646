import type { Sandbox } from '../domain/sandbox.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'
import { eventOf } from './lifecycle.ts'
import { placementError } from './placement-error.ts'
import { admit, rowOf, type Starting, type StartingOptions } from './start-sandbox.ts'

/** How long ending a guest whose sandbox isn't to be may take, in ms; what is left of it then is left to reconciliation. */
const undoTimeoutMs = 30_000

/**
 * Makes a sandbox of a guest that was started ahead. Undefined where none waits, or the one that did is of no use. The record of
 * that guest is the intent, so the sandbox's row is written once, as that of one that runs. Errors: those of `startSandbox`.
 */
export async function claimSandbox(
  ctx: ControlContext,
  settings: Starting,
  options: StartingOptions,
): Promise<Sandbox | undefined> {
  const id = ctx.node.claim(settings)
  if (id === undefined) return undefined
  try {
    const release = await admit(ctx, { ...settings, isStarted: true }, options)
    const sandbox = await ctx.lifecycle
      .exclusive(id, () => use(ctx, rowOf(ctx, { ...settings, id }), { ...options, detail: settings.detail }))
      .finally(release)
    if (sandbox === undefined) release.cancel()
    return sandbox
  } finally {
    ctx.node.putBack(id)
  }
}

async function use(
  ctx: ControlContext,
  intent: Sandbox,
  { signal, phase, detail }: StartingOptions & { detail: Record<string, unknown> },
): Promise<Sandbox | undefined> {
  const handle = await ctx.node.useClaimed(intent, { signal, phase })
  if (handle === undefined) return undefined
  const startedAt = ctx.clock.now()
  const endAt = startedAt + intent.timeoutS * 1000
  const running: Sandbox = { ...intent, state: 'running', startedAt, endAt, handle }
  try {
    signal.throwIfAborted()
    const told = eventOf(running, { type: 'created', reason: 'request', detail }, startedAt)
    await ctx.store.sandboxes.create(running, told)
    ctx.lifecycle.admit(running, { fresh: true })
    phase('record')
    ctx.log.info({ sandboxId: running.id, templateId: running.templateId }, 'sandbox started')
    return running
  } catch (error) {
    await undo(ctx, running)
    throw placementError(error)
  }
}

/** Nobody knows of the sandbox. Its row may have been written, though this was answered by an error. */
async function undo(ctx: ControlContext, { id, handle }: Sandbox): Promise<void> {
  try {
    const signal = patientSignal(undoTimeoutMs)
    const row = await ctx.store.sandboxes.find(id)
    if (row !== undefined) return await ctx.lifecycle.end(row, 'kill', 'unknown', signal)
    if (handle !== null) await ctx.node.destroy(handle, signal)
    await ctx.store.warmGuests.remove(id)
  } catch (error) {
    ctx.log.warn({ sandboxId: id, err: error }, 'a failed start is left to reconciliation')
  }
}
