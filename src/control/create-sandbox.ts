import { ServerError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { newSandboxId, newToken } from '../lib/ids.ts'
import type { ControlContext } from './context.ts'

export interface CreateSandboxRequest {
  teamId: string
  /** Id or alias of a template, with or without the tag `default` */
  template: string
  /** Lifetime in seconds, > 0 */
  timeoutS: number
  /** Whether envd asks for a token */
  secure: boolean
  metadata: Record<string, string>
  envVars: Record<string, string>
  allowInternetAccess: boolean | null
  /** Only for sandboxes that are known by a fixed name */
  id?: string
}

export interface CreateOptions {
  signal: AbortSignal
  /** Called as each phase ends, for `Server-Timing` */
  phase: (name: string) => void
}

/**
 * Creates a sandbox and resolves when it takes traffic. The time it took to start isn't charged to its lifetime.
 * Errors: `not_found` (template), `unavailable`, `deadline_exceeded`, `canceled`.
 */
export async function createSandbox(
  ctx: ControlContext,
  request: CreateSandboxRequest,
  { signal, phase }: CreateOptions,
): Promise<Sandbox> {
  const name = request.template.replace(/:default$/, '')
  const template = await ctx.store.templates.resolve(name, request.teamId)
  if (template === undefined) {
    throw new ServerError(
      'not_found',
      `Template "${request.template}" doesn't exist or you don't have access to it.`,
    )
  }
  phase('template')

  const now = ctx.clock.now()
  const sandbox: Sandbox = {
    id: request.id ?? newSandboxId(),
    teamId: request.teamId,
    templateId: template.id,
    alias: template.aliases[0] ?? null,
    state: 'creating',
    startedAt: now,
    endAt: now + request.timeoutS * 1000,
    cpuCount: template.cpuCount,
    memoryMb: template.memoryMb,
    diskMb: template.diskMb,
    metadata: request.metadata,
    envVars: request.envVars,
    envdAccessToken: request.secure ? newToken() : null,
    allowInternetAccess: request.allowInternetAccess,
    timeoutS: request.timeoutS,
    onTimeout: 'kill',
    autoPauseMemory: true,
    autoResume: false,
    pausedWithMemory: null,
    trafficAccessToken: null,
    network: null,
    endReason: null,
    runtime: ctx.node.runtime,
    image: template.image,
    handle: null,
  }
  return ctx.lifecycle.exclusive(sandbox.id, async (existing) => {
    if (existing !== undefined) {
      throw new ServerError('conflict', `Sandbox "${sandbox.id}" exists already.`)
    }
    return start(ctx, sandbox, { signal, phase })
  })
}

/** Intent, effect, outcome. Nobody knows the sandbox before this resolves, so a failure undoes it. */
async function start(
  ctx: ControlContext,
  intent: Sandbox,
  { signal, phase }: CreateOptions,
): Promise<Sandbox> {
  await ctx.store.sandboxes.create(intent)
  phase('store')
  try {
    const handle = await ctx.node.start(intent, { signal, phase })
    intent = { ...intent, handle }
    signal.throwIfAborted()
    const startedAt = ctx.clock.now()
    const outcome = {
      state: 'running',
      startedAt,
      endAt: startedAt + (intent.endAt - intent.startedAt),
      handle,
    } as const
    await ctx.store.sandboxes.update(intent.id, outcome)
    const running: Sandbox = { ...intent, ...outcome }
    ctx.node.admit(running)
    ctx.log.info({ sandboxId: running.id, templateId: running.templateId }, 'sandbox started')
    return running
  } catch (error) {
    await undo(ctx, intent)
    throw error
  }
}

/** How long undoing a failed start may take, in ms; what isn't undone by then is left to reconciliation. */
const undoTimeoutMs = 30_000

async function undo(ctx: ControlContext, intent: Sandbox): Promise<void> {
  try {
    await ctx.lifecycle.end(intent, 'start-failed', AbortSignal.timeout(undoTimeoutMs))
  } catch (error) {
    ctx.log.warn({ sandboxId: intent.id, err: error }, 'a failed start is left to reconciliation')
  }
}
