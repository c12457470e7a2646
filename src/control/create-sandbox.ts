import { createHash } from 'node:crypto'
import { ServerError, toError } from '../domain/error.ts'
import type { SandboxNetwork } from '../domain/network.ts'
import type { StartOptions } from '../domain/node.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { publicState } from '../domain/sandbox-state.ts'
import type { EndPhase } from '../domain/telemetry.ts'
import type { SandboxDefaults, TemplateBuild } from '../domain/template-build.ts'
import { newSandboxId, newToken } from '../lib/ids.ts'
import { patientSignal } from '../lib/patience.ts'
import { checkLifetime } from './check-lifetime.ts'
import type { ControlContext } from './context.ts'
import { measured } from './measured.ts'
import { checkPausable } from './pause-sandbox.ts'
import { placementError } from './placement-error.ts'
import { resolveBuild } from './resolve-template.ts'

/** What a sandbox is to be, whatever it is made from. */
export interface SandboxSettings {
  teamId: string
  /** Lifetime in seconds, > 0 */
  timeoutS: number
  /** Whether envd asks for a token */
  secure: boolean
  metadata: Record<string, string>
  envVars: Record<string, string>
  allowInternetAccess: boolean | null
  network: SandboxNetwork | null
  onTimeout: 'kill' | 'pause'
  autoPauseMemory: boolean
  autoResume: boolean
  /** Only for sandboxes that are known by a fixed name */
  id?: string
}

export interface CreateSandboxRequest extends SandboxSettings {
  /** Of several requests with one key one creates, and all get its sandbox while it lives */
  idempotencyKey?: string
  /** Id or name of a template or snapshot, in its namespace or without, with a tag, a build's id or neither */
  template: string
}

/** What a sandbox is made from. */
export interface SandboxOrigin {
  templateId: string
  buildId: string | null
  alias: string | null
  image: string
  defaults: SandboxDefaults
  cpuCount: number
  memoryMb: number
  diskMb: number
}

interface StartExtras {
  /** Whether the guest of its id was started ahead */
  isStarted?: boolean
  idempotency: Sandbox['idempotency']
  /** For the sandbox's first event */
  detail: Record<string, unknown>
}

export interface CreateOptions {
  signal: AbortSignal
  /** Called as each phase ends */
  phase: EndPhase
}

/**
 * Creates a sandbox and resolves when it takes traffic. The time it took to start isn't charged to its lifetime.
 * Errors: `not_found` (template), `conflict` (a key that was used for something else), `invalid_argument` (a longer
 * life than the team may have), those of `Admission.enter`, `unavailable`, `deadline_exceeded`, `canceled`.
 */
export async function createSandbox(
  ctx: ControlContext,
  request: CreateSandboxRequest,
  options: CreateOptions,
): Promise<Sandbox> {
  if (request.onTimeout === 'pause') checkPausable(ctx, request.autoPauseMemory)
  if (request.idempotencyKey === undefined) return create(ctx, request, null, options)
  const { idempotencyKey: key, teamId } = request
  const idempotency = { key, requestHash: hashOf(request) }
  const once = async () => {
    const earlier = await ctx.store.sandboxes.findByIdempotencyKey(teamId, key)
    if (earlier === undefined) return create(ctx, request, idempotency, options)
    if (earlier.idempotency?.requestHash === idempotency.requestHash && publicState(earlier.state))
      return earlier
    throw new ServerError(
      'conflict',
      'This Idempotency-Key was used for another sandbox. Use a new key for each sandbox.',
    )
  }
  return ctx.lifecycle.exclusive(`key:${teamId}:${key}`, once, options.signal)
}

async function create(
  ctx: ControlContext,
  request: CreateSandboxRequest,
  idempotency: Sandbox['idempotency'],
  options: CreateOptions,
): Promise<Sandbox> {
  const { signal, phase: told } = options
  return measured(ctx, { operation: 'create', cause: 'request', phase: told }, async (phase) => {
    const origin = await resolveOrigin(ctx, request)
    phase('template')
    const claimed = request.id === undefined ? ctx.node.claim(origin) : undefined
    try {
      const asked = { ...request, ...origin, idempotency, detail: {} }
      const settings = claimed === undefined ? asked : { ...asked, id: claimed, isStarted: true }
      return await startSandbox(ctx, settings, { signal, phase })
    } catch (error) {
      if (toError(error).code === 'not_found') await ctx.stock.look(origin.templateId)
      throw error
    } finally {
      if (claimed !== undefined) ctx.node.putBack(claimed)
    }
  })
}

/** What two requests with one key have in common if they ask for the same sandbox. */
function hashOf(request: CreateSandboxRequest): string {
  return createHash('sha256').update(JSON.stringify(request)).digest('hex')
}

async function resolveOrigin(
  ctx: ControlContext,
  { template, teamId }: CreateSandboxRequest,
): Promise<SandboxOrigin> {
  const { template: meant, build } = await resolveBuild(ctx, teamId, template)
  const { id: buildId, cpuCount, memoryMb, diskMb, defaults } = build
  const alias = meant.aliases[0] ?? null
  return { templateId: meant.id, buildId, alias, image: imageOf(build), cpuCount, memoryMb, diskMb, defaults }
}

/** The image of a build that is ready. */
export function imageOf({ id, image }: TemplateBuild): string {
  if (image === null) throw new ServerError('internal', `Build '${id}' has no image.`)
  return image
}

/**
 * Starts a sandbox of what is resolved already. Errors: those of `createSandbox`, but for the template's and the key's.
 */
export async function startSandbox(
  ctx: ControlContext,
  settings: SandboxSettings & SandboxOrigin & StartExtras,
  { signal, phase }: CreateOptions,
): Promise<Sandbox> {
  const { teamId, cpuCount, memoryMb, diskMb, isStarted = false, detail } = settings
  checkLifetime(await ctx.admission.limitsOf(teamId), settings.timeoutS)
  const release = await ctx.admission.enter(
    { teamId, kind: 'create', cpuCount, memoryMb, diskMb, isStarted },
    signal,
  )
  try {
    phase('admission')
    const sandbox = rowOf(ctx, settings)
    return await ctx.lifecycle.exclusive(sandbox.id, async (existing) => {
      if (existing?.state === 'killing') await ctx.lifecycle.carryOut(existing, signal)
      else if (existing !== undefined) {
        throw new ServerError('conflict', `Sandbox "${sandbox.id}" exists already.`)
      }
      return start(ctx, sandbox, { signal, phase, onUp: release.isUp, detail })
    })
  } finally {
    release()
  }
}

function rowOf(ctx: ControlContext, settings: SandboxSettings & SandboxOrigin & StartExtras): Sandbox {
  const now = ctx.clock.now()
  const isPrivate = settings.network?.allowPublicTraffic === false
  return {
    id: settings.id ?? newSandboxId(),
    teamId: settings.teamId,
    templateId: settings.templateId,
    buildId: settings.buildId,
    alias: settings.alias,
    state: 'creating',
    startedAt: now,
    endAt: now + settings.timeoutS * 1000,
    timeoutS: settings.timeoutS,
    onTimeout: settings.onTimeout,
    autoPauseMemory: settings.autoPauseMemory,
    autoResume: settings.autoResume,
    pausedWithMemory: null,
    cpuCount: settings.cpuCount,
    memoryMb: settings.memoryMb,
    diskMb: settings.diskMb,
    metadata: settings.metadata,
    envVars: settings.envVars,
    envdAccessToken: settings.secure ? newToken() : null,
    trafficAccessToken: isPrivate ? newToken() : null,
    allowInternetAccess: settings.allowInternetAccess,
    network: settings.network,
    runtime: ctx.node.runtime,
    image: settings.image,
    defaults: settings.defaults,
    handle: null,
    endReason: null,
    idempotency: settings.idempotency,
  }
}

/** Intent, effect, outcome. Nobody knows the sandbox before this resolves, so a failure undoes it. */
async function start(
  ctx: ControlContext,
  intent: Sandbox,
  { signal, phase, onUp, detail }: Required<StartOptions> & { detail: Record<string, unknown> },
): Promise<Sandbox> {
  await ctx.store.sandboxes.create(intent)
  phase('store')
  try {
    const handle = await ctx.node.start(intent, { signal, phase, onUp })
    intent = { ...intent, handle }
    signal.throwIfAborted()
    const startedAt = ctx.clock.now()
    const running = await ctx.lifecycle.move(
      intent,
      'started',
      { startedAt, endAt: startedAt + intent.timeoutS * 1000, handle },
      { type: 'created', reason: 'request', detail },
    )
    ctx.lifecycle.admit(running, { fresh: true })
    await ctx.store.templates.countSpawn(running.templateId, startedAt)
    phase('record')
    ctx.log.info({ sandboxId: running.id, templateId: running.templateId }, 'sandbox started')
    return running
  } catch (error) {
    await undo(ctx, intent, error)
    throw placementError(error)
  }
}

/** How long undoing a failed start may take, in ms; what isn't undone by then is left to reconciliation. */
const undoTimeoutMs = 30_000

async function undo(ctx: ControlContext, intent: Sandbox, cause: unknown): Promise<void> {
  try {
    const signal = patientSignal(undoTimeoutMs)
    const row = await ctx.store.sandboxes.find(intent.id)
    // Its outcome may have been written, though this was answered by an error.
    if (row?.state === 'running') await ctx.lifecycle.end(row, 'kill', 'unknown', signal)
    else await ctx.lifecycle.undoStart(intent, toError(cause).message, signal)
  } catch (error) {
    ctx.log.warn({ sandboxId: intent.id, err: error }, 'a failed start is left to reconciliation')
  }
}
