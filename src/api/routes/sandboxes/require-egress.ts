import { ServerError } from '../../../domain/error.ts'
import { type EgressRules, ruleBeyondSwitch } from '../../../domain/network.ts'
import type { Capabilities } from '../../../domain/runtime.ts'

/**
 * Refuses rules for traffic out that the runtime wouldn't enforce: a sandbox that is thought to be closed must not be
 * open. Errors: `unimplemented`, naming field and capability.
 */
export function requireEgress(
  { egressPolicy }: Capabilities,
  egress: EgressRules | null,
  allowInternetAccess: boolean | null,
): void {
  const rule = egress === null ? undefined : ruleBeyondSwitch(egress)
  if (rule !== undefined) throw unsupported(`network.${rule}`)
  if (egressPolicy !== 'none') return
  if (allowInternetAccess === false) throw unsupported('allow_internet_access: false')
  if (egress !== null && egress.denyOut.length > 0) throw unsupported('network.denyOut')
}

function unsupported(field: string): ServerError {
  return new ServerError(
    'unimplemented',
    `'${field}' is not implemented by this server yet (capability egressPolicy); see docs/compat.md.`,
  )
}
