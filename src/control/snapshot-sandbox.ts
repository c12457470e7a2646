import { ServerError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { Snapshot } from '../domain/snapshot.ts'
import { defaultTag, parseTemplateName } from '../domain/template-name.ts'
import { anySignal } from '../lib/deadline.ts'
import { newId } from '../lib/ids.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'
import { requireRunning, type SandboxRef } from './find-sandbox.ts'
import { eventOf } from './lifecycle.ts'
import { namespaceOf } from './namespace.ts'
import { settle } from './settle.ts'
import { dropIncomplete, type NamedSnapshot, named } from './snapshots.ts'

/** How long a copy may take from its turn on, in ms. It goes on when its client leaves. */
const snapshotTimeoutMs = 600_000
/** How long making good a failed one may take, in ms. */
const undoTimeoutMs = 30_000

/**
 * Keeps a copy of a running sandbox, which goes on running. A name (with a tag) that is taken goes over to the new
 * copy. Whoever asks for memory is refused where the runtime can't copy it. Errors: `invalid_argument` (name), `not_found`, `unimplemented`, `resource_exhausted` (disk), `unavailable`.
 */
export async function snapshotSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  { name, memory }: { name: string | undefined; memory: boolean | undefined },
  signal: AbortSignal,
): Promise<NamedSnapshot> {
  if (memory === true) checkMemorySnapshots(ctx)
  const namespace = await namespaceOf(ctx, ref.teamId)
  const parsed = name === undefined ? undefined : parseTemplateName(name)
  if (parsed !== undefined && parsed.namespace !== null && parsed.namespace !== namespace) {
    throw new ServerError('invalid_argument', `The namespace of your snapshots is '${namespace}'.`)
  }
  const snapshot = await ctx.lifecycle.exclusive(
    ref.id,
    (row, ended) => {
      const kind = { name: parsed?.name ?? null, tag: parsed?.tag ?? defaultTag, internal: false }
      return takeSnapshot(ctx, requireRunning(row, ref), kind, ended)
    },
    signal,
  )
  await dropSuperseded(ctx, snapshot)
  return named(snapshot, namespace)
}

/**
 * Intent, effect, outcome; only inside `exclusive`, whose `ended` breaks it off. Errors: those of `snapshotSandbox`.
 */
export async function takeSnapshot(
  ctx: ControlContext,
  sandbox: Sandbox,
  { name, tag, internal }: Pick<Snapshot, 'name' | 'tag' | 'internal'>,
  ended: AbortSignal,
): Promise<Snapshot> {
  checkSnapshots(ctx)
  const { handle } = sandbox
  if (handle === null) throw new ServerError('internal', 'The sandbox has no guest.')
  const id = newId()
  const snapshot: Snapshot = {
    id,
    teamId: sandbox.teamId,
    sandboxId: sandbox.id,
    templateId: sandbox.templateId,
    name,
    tag,
    internal,
    state: 'creating',
    image: `e2b-server/snapshot:${id}`,
    runtime: ctx.node.runtime,
    cpuCount: sandbox.cpuCount,
    memoryMb: sandbox.memoryMb,
    diskMb: sandbox.diskMb,
    createdAt: ctx.clock.now(),
  }
  await ctx.store.snapshots.create(snapshot)
  const intent = await ctx.lifecycle.move(sandbox, 'snapshot')
  try {
    const signal = anySignal(ended, patientSignal(snapshotTimeoutMs))
    await ctx.node.snapshot(handle, snapshot.image, signal)
    const told = {
      type: 'snapshotted',
      reason: internal ? 'fork' : 'request',
      detail: { snapshotId: id },
    } as const
    await ctx.store.snapshots.complete(id, eventOf(sandbox, told, ctx.clock.now()))
    await ctx.lifecycle.move(intent, 'snapshotted')
    ctx.log.info({ sandboxId: sandbox.id, snapshotId: id }, 'snapshot taken')
    return { ...snapshot, state: 'ready' }
  } catch (error) {
    await makeGood(ctx, intent, snapshot)
    throw ended.aborted ? ended.reason : error
  }
}

/** Errors: `unimplemented`, naming the capability. */
function checkSnapshots({ node }: ControlContext): void {
  if (node.capabilities.filesystemSnapshot) return
  throw new ServerError(
    'unimplemented',
    `The runtime "${node.runtime}" can't copy sandboxes (capability filesystemSnapshot).`,
  )
}

/** Errors: `unimplemented`, naming the capability. */
function checkMemorySnapshots({ node }: ControlContext): void {
  if (node.capabilities.memorySnapshot) return
  throw new ServerError(
    'unimplemented',
    `The runtime "${node.runtime}" copies files only (capability memorySnapshot): leave memory out, or say false.`,
  )
}

/** What can't be made good now is left to reconciliation, the image of a copy that failed included. */
async function makeGood(ctx: ControlContext, { id }: Sandbox, snapshot: Snapshot): Promise<void> {
  const signal = patientSignal(undoTimeoutMs)
  const settled = ctx.store.sandboxes.find(id).then((row) => row && settle(ctx, row, signal))
  for (const outcome of await Promise.allSettled([settled, dropIncomplete(ctx, snapshot, signal)])) {
    if (outcome.status === 'fulfilled') continue
    ctx.log.warn({ sandboxId: id, err: outcome.reason }, 'a failed snapshot is left to reconciliation')
  }
}

/** Older copies of the same name and tag can't be asked for any more; reconciliation removes their images. */
async function dropSuperseded(ctx: ControlContext, { id, teamId, name, tag }: Snapshot): Promise<void> {
  if (name === null) return
  const copies = await ctx.store.snapshots.list({ teamId, name, tag, state: 'ready', internal: false })
  const at = copies.findIndex((copy) => copy.id === id)
  for (const older of copies.slice(at + 1)) await ctx.store.snapshots.remove(older.id)
}
