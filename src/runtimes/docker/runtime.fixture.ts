/** Servers of their own on the real engine. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { agentBinary, hostBinary } from '../../../tests/support/agent.ts'
import type { GuestHandle } from '../../domain/runtime.ts'
import { newId } from '../../lib/ids.ts'
import { silentLog } from '../../lib/log.ts'
import { instanceLabel } from './container.ts'
import { createDockerRuntime, type DockerRuntimeOptions } from './runtime.ts'

export const patience = () => AbortSignal.timeout(30_000)
export const docker = new Docker({ socketPath: '/var/run/docker.sock' })
export const container = (handle: GuestHandle) => docker.getContainer(String(handle.state.containerId))

/** What one server has: a state directory and an id. `dispose` removes all it made in the engine. */
export async function server(options: Partial<DockerRuntimeOptions> = {}) {
  const instanceId = newId()
  const stateDir = await mkdtemp(join(tmpdir(), 'e2b-docker-'))
  const create = (more: Partial<DockerRuntimeOptions> = {}) =>
    createDockerRuntime({
      stateDir,
      guestBinary: agentBinary,
      hostBinary,
      instanceId,
      transport: 'auto',
      log: silentLog,
      ...options,
      ...more,
    })
  const dispose = async () => {
    const runtime = create()
    for (const handle of await runtime.list(patience())) await runtime.destroy(handle, patience())
    for (const image of await runtime.images.list(patience())) await runtime.images.remove(image, patience())
    await runtime.close()
    const filters = { label: [`${instanceLabel}=${instanceId}`] }
    for (const { Id } of await docker.listNetworks({ filters })) await docker.getNetwork(Id).remove()
    await rm(stateDir, { recursive: true })
  }
  return { instanceId, stateDir, create, dispose }
}
