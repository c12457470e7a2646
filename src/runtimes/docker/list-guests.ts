import { isSandboxId } from '../../domain/sandbox-id.ts'
import { instanceLabel, sandboxLabel, transportLabel } from './container.ts'
import type { DockerGuest } from './handle.ts'
import type { DockerParts } from './parts.ts'
import { agentPort } from './tcp-transport.ts'

/** Every guest with a container, running or not, or at least a run directory. Errors as `Engine.call`. */
export async function listGuests(
  { engine, engineHost, instanceId, dirs }: DockerParts,
  signal: AbortSignal,
): Promise<DockerGuest[]> {
  const filters = { label: [`${instanceLabel}=${instanceId}`] }
  const containers = await engine.call(signal, (docker, both) =>
    docker.listContainers({ all: true, filters, abortSignal: both }),
  )
  const { id } = await engineHost.info(signal)
  const guests = new Map<string, DockerGuest>()
  // A directory without a container is what a crash left of a start or a removal.
  for (const sandboxId of await dirs.list()) {
    guests.set(sandboxId, { sandboxId, containerId: '', transport: 'unix', port: 0 })
  }
  for (const { Id: containerId, Labels: labels, Ports: ports } of containers) {
    const sandboxId = labels[sandboxLabel]
    if (sandboxId === undefined || !isSandboxId(sandboxId)) continue
    const transport = labels[transportLabel] === 'tcp' ? 'tcp' : 'unix'
    const port = ports.find(({ PrivatePort }) => PrivatePort === agentPort)?.PublicPort ?? 0
    guests.set(sandboxId, { sandboxId, containerId, transport, port, engine: id })
  }
  return [...guests.values()]
}
