import type { EgressRules, SandboxNetwork } from '../domain/network.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { anySignal } from '../lib/deadline.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'
import { requireRunning, type SandboxRef } from './find-sandbox.ts'
import { eventOf } from './lifecycle.ts'

/** How long the change of a sandbox's network may take, and how long putting it back, in ms. */
const applyTimeoutMs = 20_000

export interface NetworkUpdate {
  egress: EgressRules
  allowInternetAccess: boolean | null
}

/**
 * Replaces what a running sandbox may reach, from the moment this resolves; what traffic may reach it stays. Errors:
 * `not_found`, those of `SandboxNode.applyEgress`, after which it is as it was.
 */
export async function updateNetwork(
  ctx: ControlContext,
  ref: SandboxRef,
  { egress, allowInternetAccess }: NetworkUpdate,
): Promise<Sandbox> {
  return ctx.lifecycle.exclusive(ref.id, async (row, ended) => {
    const sandbox = requireRunning(row, ref)
    const network = { ...(sandbox.network ?? openNetwork), ...egress }
    const changed = { ...sandbox, network, allowInternetAccess }
    // The intent: whoever finds it after a crash carries it out.
    await ctx.store.sandboxes.update(ref.id, { network, allowInternetAccess })
    try {
      await ctx.node.applyEgress(changed, anySignal(ended, patientSignal(applyTimeoutMs)))
    } catch (error) {
      if (!ended.aborted) await putBack(ctx, sandbox)
      throw ended.aborted ? ended.reason : error
    }
    const event = eventOf(sandbox, { type: 'updated', reason: 'network' }, ctx.clock.now())
    await ctx.store.sandboxes.update(ref.id, { network, allowInternetAccess }, { event })
    return changed
  })
}

/** What can't be put back now is left to reconciliation. */
async function putBack(ctx: ControlContext, sandbox: Sandbox): Promise<void> {
  const { id, allowInternetAccess } = sandbox
  // Rules that say nothing differ from none: what was half done is undone by them.
  const network = sandbox.network ?? openNetwork
  try {
    await ctx.store.sandboxes.update(id, { network, allowInternetAccess })
    await ctx.node.applyEgress({ ...sandbox, network }, patientSignal(applyTimeoutMs))
  } catch (error) {
    ctx.log.warn({ sandboxId: id, err: error }, 'a failed change of a network is left to reconciliation')
  }
}

/** What a sandbox has that was made without a word about its network. */
const openNetwork: SandboxNetwork = {
  allowPublicTraffic: true,
  maskRequestHost: null,
  httpsPorts: [],
  allowOut: [],
  denyOut: [],
  rules: {},
}
