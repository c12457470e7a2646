import { ServerError } from '../../../domain/error.ts'
import type { EgressRules } from '../../../domain/network.ts'
import type { Capabilities } from '../../../domain/runtime.ts'
import { restrictsEgress } from '../../../wire/network.ts'

const openEgress: EgressRules = { allowOut: [], denyOut: [], rules: {} }

/**
 * Refuses rules for traffic out that the runtime wouldn't enforce: a sandbox that is thought to be closed must not be
 * open. Errors: `unimplemented`, naming field and capability.
 */
export function requireEgress(
  { egressPolicy }: Capabilities,
  egress: EgressRules | null,
  allowInternetAccess: boolean | null,
): void {
  const field = restrictsEgress(egress ?? openEgress, allowInternetAccess)
  if (egressPolicy || field === undefined) return
  throw new ServerError(
    'unimplemented',
    `'${field}' is not implemented by this server yet (capability egressPolicy); see docs/compat.md.`,
  )
}
