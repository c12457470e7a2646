import type { Duplex } from 'node:stream'
import type { MountSettings, PortMap } from 'dockerode'
import type { AgentAddress } from '../../domain/data-plane.ts'
import type { DockerGuest, TransportName } from './handle.ts'

/** Everything of ours inside a container lies below this folder, on no disk of the image. */
export const guestFolder = '/run/e2b-guest'

/** What a container needs so that its agent can be reached. */
export interface TransportPart {
  /** Arguments of the agent */
  args: string[]
  mounts: MountSettings[]
  portBindings: PortMap
}

/** One way to a guest's agent. */
export interface Transport {
  readonly name: TransportName
  /** Says what the container needs and puts what must be there before into the guest's run directory. */
  prepare(directory: string, signal: AbortSignal): Promise<TransportPart>
  /** Makes the run directory of a guest that doesn't run as it has to be before its container starts again. */
  reset(directory: string, signal: AbortSignal): Promise<void>
  /** Resolves once the agent accepts connections; rejects with the signal's reason when it aborts first. */
  ready(guest: DockerGuest, directory: string, signal: AbortSignal): Promise<void>
  /** A new stream, authenticated and half-open. Errors: `unavailable`. */
  connect(guest: DockerGuest, directory: string, signal: AbortSignal): Promise<Duplex>
  /** Where others reach the agent that `ready` or `connect` has found. */
  address(guest: DockerGuest, directory: string): AgentAddress
  /** Forgets a guest. */
  release(sandboxId: string): Promise<void>
  close(): Promise<void>
}
