import type { EgressRules, SandboxNetwork } from '../domain/network.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { ControlContext } from './context.ts'
import { requireRunning, type SandboxRef } from './find-sandbox.ts'
import { eventOf } from './lifecycle.ts'

export interface NetworkUpdate {
  egress: EgressRules
  allowInternetAccess: boolean | null
}

/** Replaces what a running sandbox may reach; what traffic may reach it stays. Errors: `not_found`. */
export async function updateNetwork(
  ctx: ControlContext,
  ref: SandboxRef,
  { egress, allowInternetAccess }: NetworkUpdate,
): Promise<Sandbox> {
  return ctx.lifecycle.exclusive(ref.id, async (row) => {
    const sandbox = requireRunning(row, ref)
    const network = { ...(sandbox.network ?? openNetwork), ...egress }
    const event = eventOf(sandbox, { type: 'updated', reason: 'network' }, ctx.clock.now())
    await ctx.store.sandboxes.update(ref.id, { network, allowInternetAccess }, { event })
    return { ...sandbox, network, allowInternetAccess }
  })
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
