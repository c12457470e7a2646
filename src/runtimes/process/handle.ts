import { ServerError } from '../../domain/error.ts'
import type { GuestHandle } from '../../domain/runtime.ts'
import { checkSandboxId } from '../../domain/sandbox-id.ts'

export const runtimeName = 'process'
const handleVersion = 1

/** A process that can't be mistaken for a later one with the same number. */
export interface ProcessId {
  /** 0 where the guest has none */
  pid: number
  /** Start of the process in clock ticks since boot, as /proc says */
  startTicks: number
}

/** A handle of this runtime, read. */
export interface ProcessGuest extends ProcessId {
  sandboxId: string
}

export function toHandle({ sandboxId, pid, startTicks }: ProcessGuest): GuestHandle {
  return { runtime: runtimeName, version: handleVersion, sandboxId, state: { pid, startTicks } }
}

/** Errors: `invalid_argument` for a handle that this runtime didn't make. */
export function fromHandle(handle: GuestHandle): ProcessGuest {
  const { pid, startTicks } = handle.state
  if (
    handle.runtime !== runtimeName ||
    handle.version !== handleVersion ||
    typeof pid !== 'number' ||
    typeof startTicks !== 'number'
  ) {
    throw new ServerError(
      'invalid_argument',
      `The sandbox's handle is not one of the ${runtimeName} runtime.`,
    )
  }
  return { sandboxId: checkSandboxId(handle.sandboxId), pid, startTicks }
}
