import { ServerError, toError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { publicState } from '../domain/sandbox-state.ts'
import type { TemplateBuild } from '../domain/template-build.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import type { ControlContext } from './context.ts'
import { imageOf } from './create-sandbox.ts'
import { requireVisible, type SandboxRef } from './find-sandbox.ts'
import { measured } from './measured.ts'
import { newTemplate, takeSnapshot } from './snapshot-sandbox.ts'
import { type StartingOptions, startSandbox } from './start-sandbox.ts'

/** Forks that are started side by side. */
const parallel = 8

export interface ForkRequest {
  /** Lifetime of each fork, in seconds */
  timeoutS: number
  count: number
}

export type ForkResult = { sandbox: Sandbox } | { error: ServerError }

/**
 * Starts `count` sandboxes from one copy of a running one, which goes on running. Each starts or fails by itself. The
 * copy is of the file system alone: forks boot from it. Errors: `not_found`, `conflict` (it is paused), those of
 * `snapshotSandbox`.
 */
export async function forkSandbox(
  ctx: ControlContext,
  ref: SandboxRef,
  { timeoutS, count }: ForkRequest,
  { signal, phase: told }: StartingOptions,
): Promise<ForkResult[]> {
  return measured(ctx, { operation: 'fork', cause: 'request', phase: told }, (phase) =>
    fork(ctx, ref, { timeoutS, count }, { signal, phase }),
  )
}

async function fork(
  ctx: ControlContext,
  ref: SandboxRef,
  { timeoutS, count }: ForkRequest,
  { signal, phase }: StartingOptions,
): Promise<ForkResult[]> {
  const { source, copy } = await ctx.lifecycle.exclusive(
    ref.id,
    async (row, ended) => {
      const sandbox = requireForkable(row, ref)
      phase('queue')
      const options = { tags: [], ended, phase }
      const copied = await takeSnapshot(ctx, sandbox, newTemplate(ctx, sandbox, 'fork'), options)
      return { source: sandbox, copy: copied.build }
    },
    signal,
  )
  // Held while forks are being made of it, so that reconciliation doesn't take it for left over.
  return ctx.lifecycle.exclusive(copy.id, async () => {
    try {
      const forks = await startForks(ctx, { source, copy, timeoutS, count }, signal)
      phase('forks')
      return forks
    } finally {
      // From here on the forks' own rows keep its image.
      await ctx.store.forkBuilds.remove(copy.id)
    }
  })
}

/** Errors: `not_found`, `conflict` (it is paused). */
function requireForkable(row: Sandbox | undefined, ref: SandboxRef): Sandbox {
  const sandbox = requireVisible(row, ref)
  if (publicState(sandbox.state) === 'running') return sandbox
  throw new ServerError('conflict', `Sandbox "${ref.id}" is paused: resume it before it is forked.`)
}

async function startForks(
  ctx: ControlContext,
  { source, copy, timeoutS, count }: ForkRequest & { source: Sandbox; copy: TemplateBuild },
  signal: AbortSignal,
): Promise<ForkResult[]> {
  const results: ForkResult[] = []
  await forEachLimit(Array.from({ length: count }).keys(), parallel, async (index) => {
    try {
      const settings = {
        teamId: source.teamId,
        templateId: source.templateId,
        buildId: source.buildId,
        alias: source.alias,
        image: imageOf(copy),
        defaults: source.defaults,
        cpuCount: source.cpuCount,
        memoryMb: source.memoryMb,
        diskMb: source.diskMb,
        timeoutS,
        secure: source.envdAccessToken !== null,
        metadata: source.metadata,
        envVars: source.envVars,
        allowInternetAccess: source.allowInternetAccess,
        network: source.network,
        onTimeout: source.onTimeout,
        autoPauseMemory: source.autoPauseMemory,
        autoResume: source.autoResume,
        idempotency: null,
        detail: { forkOf: source.id },
      }
      const sandbox = await measured(ctx, { operation: 'create', cause: 'fork' }, (phase) =>
        startSandbox(ctx, settings, { signal, phase }),
      )
      results[index] = { sandbox }
    } catch (error) {
      results[index] = { error: toError(error) }
    }
  })
  return results
}
