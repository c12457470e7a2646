/** A sandbox from what is resolved already: its admission, its row, its guest. */
import { ServerError, toError } from '../domain/error.ts'
import type { SandboxNetwork } from '../domain/network.ts'
import type { StartOptions } from '../domain/node.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { EndPhase } from '../domain/telemetry.ts'
import type { SandboxDefaults } from '../domain/template-build.ts'
import { newSandboxId, newToken } from '../lib/ids.ts'
import { patientSignal } from '../lib/patience.ts'
import type { Admitted } from './admission.ts'
import { checkLifetime } from './check-lifetime.ts'
import type { ControlContext } from './context.ts'
import { placementError } from './placement-error.ts'

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
  idempotency: Sandbox['idempotency']
  /** For the sandbox's first event */
  detail: Record<string, unknown>
}

/** All that a start has to know. */
export type Starting = SandboxSettings & SandboxOrigin & StartExtras

export interface StartingOptions {
  signal: AbortSignal
  /** Called as each phase ends */
  phase: EndPhase
}

/**
 * Starts a sandbox of what is resolved already. Errors: those of `createSandbox`, but for the template's and the key's.
 */
export async function startSandbox(
  ctx: ControlContext,
  settings: Starting,
  { signal, phase }: StartingOptions,
): Promise<Sandbox> {
  const release = await admit(ctx, settings, { signal, phase })
  try {
    const sandbox = rowOf(ctx, settings)
    return await ctx.lifecycle.exclusive(sandbox.id, async (existing) => {
      if (existing?.state === 'killing') await ctx.lifecycle.carryOut(existing, signal)
      else if (existing !== undefined) {
        throw new ServerError('conflict', `Sandbox "${sandbox.id}" exists already.`)
      }
      return start(ctx, sandbox, { signal, phase, onUp: release.isUp, detail: settings.detail })
    })
  } finally {
    release()
  }
}

/** Checks limits and waits for a turn and room, where there isn't a guest already. Errors: those of `Admission.enter`. */
export async function admit(
  ctx: ControlContext,
  { teamId, timeoutS, cpuCount, memoryMb, diskMb, isStarted = false }: Starting & { isStarted?: boolean },
  { signal, phase }: StartingOptions,
): Promise<Admitted> {
  checkLifetime(await ctx.admission.limitsOf(teamId), timeoutS)
  const request = { teamId, kind: 'create', cpuCount, memoryMb, diskMb, isStarted } as const
  const release = await ctx.admission.enter(request, signal)
  phase('admission')
  return release
}

/** The row of a sandbox that is about to be started. */
export function rowOf(ctx: ControlContext, settings: Starting): Sandbox {
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
