import { ServerError } from '../../domain/error.ts'
import type { GuestHandle } from '../../domain/runtime.ts'
import { checkSandboxId } from '../../domain/sandbox-id.ts'

export const runtimeName = 'docker'
const handleVersion = 1

/** How the agent is reached: a unix socket in a shared directory, or a published TCP port. */
export type TransportName = 'unix' | 'tcp'

/** A handle of this runtime, read. */
export interface DockerGuest {
  sandboxId: string
  /** The container's full id; empty for a remainder that has no container */
  containerId: string
  transport: TransportName
  /** Port on 127.0.0.1 of the host; 0 with the unix transport */
  port: number
  /** The engine that has the container (`EngineInfo.id`), where that is known */
  engine?: string
}

export function toHandle({ sandboxId, ...state }: DockerGuest): GuestHandle {
  return { runtime: runtimeName, version: handleVersion, sandboxId, state }
}

/** Errors: `invalid_argument` for a handle that this runtime didn't make. */
export function fromHandle(handle: GuestHandle): DockerGuest {
  const { containerId, transport, port, engine } = handle.state
  if (
    handle.runtime !== runtimeName ||
    handle.version !== handleVersion ||
    typeof containerId !== 'string' ||
    (transport !== 'unix' && transport !== 'tcp') ||
    typeof port !== 'number'
  ) {
    throw new ServerError(
      'invalid_argument',
      `The sandbox's handle is not one of the ${runtimeName} runtime.`,
    )
  }
  return {
    sandboxId: checkSandboxId(handle.sandboxId),
    containerId,
    transport,
    port,
    ...(typeof engine === 'string' && { engine }),
  }
}
