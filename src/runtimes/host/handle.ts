import { ServerError } from '../../domain/error.ts'
import type { GuestHandle } from '../../domain/runtime.ts'
import { checkSandboxId } from '../../domain/sandbox-id.ts'

const handleVersion = 1

/** All that there is to know of a guest the helper knows by its sandbox's id. */
export function toHandle(runtime: string, sandboxId: string): GuestHandle {
  return { runtime, version: handleVersion, sandboxId, state: {} }
}

/** The sandbox's id. Errors: `invalid_argument` for a handle that this runtime didn't make. */
export function fromHandle(runtime: string, handle: GuestHandle): string {
  if (handle.runtime !== runtime || handle.version !== handleVersion) {
    throw new ServerError('invalid_argument', `The sandbox's handle is not one of the ${runtime} runtime.`)
  }
  return checkSandboxId(handle.sandboxId)
}
