import type { ContainerInspectInfo } from 'dockerode'
import { ServerError } from '../../domain/error.ts'
import type { GuestCondition } from '../../domain/runtime.ts'
import { instanceLabel, sandboxLabel } from './container.ts'
import { statusOf } from './engine.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'
import { agentPort } from './tcp-transport.ts'

export interface FoundContainer {
  /** As the engine sees it: whether the agent of a running one answers is another question */
  condition: Exclude<GuestCondition, 'gone'>
  /** Its first process on the engine's machine, 0 while stopped */
  pid: number
  /** The guest with the port that its agent has now */
  guest: DockerGuest
  /** The id of the image that it is made of */
  image: string
  /** The directory of its own layer on the engine's machine, where it has one */
  layer: string | undefined
}

/** The container of a guest of ours, or undefined where there is none to go on with. Errors as `Engine.call`. */
export function findContainer(
  { engine, instanceId }: Pick<DockerParts, 'engine' | 'instanceId'>,
  guest: DockerGuest,
  signal: AbortSignal,
): Promise<FoundContainer | undefined> {
  return engine.call(signal, async (docker, both) => {
    if (guest.containerId === '') return undefined
    try {
      const found = await docker.getContainer(guest.containerId).inspect({ abortSignal: both })
      const { Config, State, GraphDriver } = found
      const ours =
        Config.Labels[instanceLabel] === instanceId && Config.Labels[sandboxLabel] === guest.sandboxId
      // A removal that has begun is not to be stopped.
      if (!ours || State.Dead || State.Status === 'removing') return undefined
      return {
        condition: State.Paused ? 'paused' : State.Running ? 'running' : 'stopped',
        pid: State.Pid,
        guest: { ...guest, port: guest.transport === 'tcp' ? agentPortOf(found) : 0 },
        image: found.Image,
        layer: overlayLayer(GraphDriver),
      }
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw error
    }
  })
}

/** As `findContainer`. Errors: also `not_found`. */
export async function getContainer(
  parts: Pick<DockerParts, 'engine' | 'instanceId'>,
  guest: DockerGuest,
  signal: AbortSignal,
): Promise<FoundContainer> {
  const found = await findContainer(parts, guest, signal)
  if (found === undefined) throw containerNotFound(guest.sandboxId)
  return found
}

export function containerNotFound(sandboxId: string, cause?: unknown): ServerError {
  return new ServerError('not_found', `Sandbox ${sandboxId} has no container any more.`, { cause })
}

/** Port on 127.0.0.1 that leads to a container's agent, or 0. */
export function agentPortOf({ NetworkSettings: { Ports: ports } }: ContainerInspectInfo): number {
  const port = Number(ports?.[`${agentPort}/tcp`]?.[0]?.HostPort)
  return Number.isInteger(port) && port > 0 ? port : 0
}

/** The directory of a container's or image's topmost layer, on engines that keep layers as directories for overlayfs. */
export function overlayLayer(
  driver: { Name: string; Data: { [name: string]: string } | null } | undefined,
): string | undefined {
  return driver?.Name === 'overlay2' ? driver.Data?.UpperDir : undefined
}
