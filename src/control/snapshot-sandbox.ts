import { randomUUID } from 'node:crypto'
import { ServerError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { EndPhase } from '../domain/telemetry.ts'
import type { TaggedBuild, Template } from '../domain/template.ts'
import type { BuildStore, TemplateBuild } from '../domain/template-build.ts'
import { defaultTag, parseTemplateName } from '../domain/template-name.ts'
import { anySignal } from '../lib/deadline.ts'
import { newId } from '../lib/ids.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'
import { requireRunning, type SandboxRef } from './find-sandbox.ts'
import { eventOf } from './lifecycle.ts'
import { measured } from './measured.ts'
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
  { signal, phase: told }: { signal: AbortSignal; phase?: EndPhase },
): Promise<NamedSnapshot> {
  const since = performance.now()
  if (memory === true) checkMemorySnapshots(ctx)
  const namespace = await namespaceOf(ctx, ref.teamId)
  const parsed = name === undefined ? undefined : parseTemplateName(name)
  if (parsed !== undefined && parsed.namespace !== null && parsed.namespace !== namespace) {
    throw new ServerError('invalid_argument', `The namespace of your snapshots is '${namespace}'.`)
  }
  const tag = parsed?.tag ?? defaultTag
  const { template, build } = await ctx.lifecycle.exclusive(
    ref.id,
    async (row, ended) => {
      const sandbox = requireRunning(row, ref)
      const existing = parsed && (await ctx.store.templates.findByAlias(ref.teamId, parsed.name))
      const meant = existing ?? newTemplate(ctx, sandbox, 'snapshot', parsed?.name)
      return measured(ctx, { operation: 'snapshot', cause: 'request', since, phase: told }, (phase) =>
        takeSnapshot(ctx, sandbox, meant, { tags: [tag], ended, phase }),
      )
    },
    signal,
  )
  await dropSuperseded(ctx, template)
  return named({ template, build, tag }, namespace)
}

/** One that isn't recorded yet: `takeSnapshot` does that together with its first build. */
export function newTemplate(
  ctx: ControlContext,
  { teamId }: Sandbox,
  kind: 'snapshot' | 'fork',
  name?: string,
): Template & { isNew: true } {
  const now = ctx.clock.now()
  return {
    id: newId(),
    teamId,
    aliases: name === undefined ? [] : [name],
    isPublic: false,
    kind,
    createdAt: now,
    updatedAt: now,
    lastSpawnedAt: null,
    spawnCount: 0,
    isNew: true,
  }
}

/**
 * Intent, effect, outcome; only inside `exclusive`, whose `ended` breaks it off. Errors: those of `snapshotSandbox`.
 */
export async function takeSnapshot(
  ctx: ControlContext,
  sandbox: Sandbox,
  asked: Template & { isNew?: boolean },
  { tags, ended, phase }: { tags: readonly string[]; ended: AbortSignal; phase: EndPhase },
): Promise<TaggedBuild> {
  checkSnapshots(ctx)
  const { handle } = sandbox
  if (handle === null) throw new ServerError('internal', 'The sandbox has no guest.')
  const isBrief = asked.kind === 'fork'
  const builds = isBrief ? ctx.store.forkBuilds : ctx.store.builds
  const { template, build } = await recordIntent(ctx, builds, sandbox, asked)
  const { id, image } = build
  const intent = await ctx.lifecycle.move(sandbox, 'snapshot')
  phase('store')
  try {
    const signal = anySignal(ended, patientSignal(snapshotTimeoutMs))
    await ctx.node.snapshot(handle, image, signal, { brief: isBrief })
    phase('copy')
    const told = {
      type: 'snapshotted',
      reason: isBrief ? 'fork' : 'request',
      detail: { snapshotId: template.id },
    } as const
    const at = ctx.clock.now()
    const { diskMb, defaults } = build
    await builds.complete(id, { at, tags, image, diskMb, defaults }, eventOf(sandbox, told, at))
    await ctx.lifecycle.move(intent, 'snapshotted')
    phase('record')
    ctx.log.info({ sandboxId: sandbox.id, snapshotId: template.id, buildId: id }, 'snapshot taken')
    return { template, build: { ...build, status: 'ready', finishedAt: at } }
  } catch (error) {
    await makeGood(ctx, intent, build)
    throw ended.aborted ? ended.reason : error
  }
}

/** A build in `building`, of a template that is made with it where it isn't there yet. */
async function recordIntent(
  ctx: ControlContext,
  builds: BuildStore,
  sandbox: Sandbox,
  { isNew = false, ...template }: Template & { isNew?: boolean },
) {
  const build = intentOf(ctx, sandbox, template.id)
  try {
    await builds.create(build, isNew ? { template } : {})
    return { template, build }
  } catch (error) {
    // Somebody else's first snapshot of that name came in between.
    const [name] = template.aliases
    const theirs =
      name === undefined ? undefined : await ctx.store.templates.findByAlias(template.teamId, name)
    if (!isNew || theirs === undefined) throw error
    await builds.create({ ...build, templateId: theirs.id })
    return { template: theirs, build: { ...build, templateId: theirs.id } }
  }
}

function intentOf(ctx: ControlContext, sandbox: Sandbox, templateId: string) {
  const now = ctx.clock.now()
  return {
    id: randomUUID(),
    templateId,
    teamId: sandbox.teamId,
    status: 'building',
    image: `e2b-server/snapshot:${newId()}`,
    runtime: ctx.node.runtime,
    cpuCount: sandbox.cpuCount,
    memoryMb: sandbox.memoryMb,
    diskMb: sandbox.diskMb,
    defaults: sandbox.defaults,
    origin: { sandboxId: sandbox.id, templateId: sandbox.templateId },
    reason: null,
    createdAt: now,
    startedAt: now,
    finishedAt: null,
  } as const satisfies TemplateBuild
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
async function makeGood(ctx: ControlContext, { id }: Sandbox, snapshot: TemplateBuild): Promise<void> {
  const signal = patientSignal(undoTimeoutMs)
  const settled = ctx.store.sandboxes.find(id).then((row) => row && settle(ctx, row, signal))
  for (const outcome of await Promise.allSettled([settled, dropIncomplete(ctx, snapshot, signal)])) {
    if (outcome.status === 'fulfilled') continue
    ctx.log.warn({ sandboxId: id, err: outcome.reason }, 'a failed snapshot is left to reconciliation')
  }
}

/** Older copies that no tag stands for any more can't be asked for; reconciliation removes their images. */
async function dropSuperseded({ store }: ControlContext, { id }: Template): Promise<void> {
  const tagged = new Set((await store.tags.list(id)).map(({ buildId }) => buildId))
  for (const copy of await store.builds.list({ templateId: id, isSnapshot: true, statuses: ['ready'] })) {
    if (!tagged.has(copy.id)) await store.builds.remove(copy.id)
  }
}
