import { createHash } from 'node:crypto'
import { ServerError, toError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { publicState } from '../domain/sandbox-state.ts'
import type { TemplateBuild } from '../domain/template-build.ts'
import { claimSandbox } from './claim-sandbox.ts'
import type { ControlContext } from './context.ts'
import { measured } from './measured.ts'
import { checkPausable } from './pause-sandbox.ts'
import { resolveBuild } from './resolve-template.ts'
import {
  type SandboxOrigin,
  type SandboxSettings,
  type StartingOptions,
  startSandbox,
} from './start-sandbox.ts'

export interface CreateSandboxRequest extends SandboxSettings {
  /** Of several requests with one key one creates, and all get its sandbox while it lives */
  idempotencyKey?: string
  /** Id or name of a template or snapshot, in its namespace or without, with a tag, a build's id or neither */
  template: string
}

/**
 * Creates a sandbox and resolves when it takes traffic. The time it took to start isn't charged to its lifetime.
 * Errors: `not_found` (template), `conflict` (a key that was used for something else), `invalid_argument` (a longer
 * life than the team may have), those of `Admission.enter`, `unavailable`, `deadline_exceeded`, `canceled`.
 */
export async function createSandbox(
  ctx: ControlContext,
  request: CreateSandboxRequest,
  options: StartingOptions,
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
  options: StartingOptions,
): Promise<Sandbox> {
  const { signal, phase: told } = options
  return measured(ctx, { operation: 'create', cause: 'request', phase: told }, async (phase) => {
    const origin = await resolveOrigin(ctx, request)
    phase('template')
    const settings = { ...request, ...origin, idempotency, detail: {} }
    try {
      const claimed =
        request.id === undefined ? await claimSandbox(ctx, settings, { signal, phase }) : undefined
      return claimed ?? (await startSandbox(ctx, settings, { signal, phase }))
    } catch (error) {
      if (toError(error).code === 'not_found') await ctx.stock.look(origin.templateId)
      throw error
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
