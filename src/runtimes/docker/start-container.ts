/** From a specification to a container whose agent answers. */

import { ServerError } from '../../domain/error.ts'
import type { GuestSpec } from '../../domain/runtime.ts'
import { imageNotFound, invalidImageName } from '../../images/names.ts'
import { patientSignal } from '../../lib/patience.ts'
import { confinementOf } from './confinement.ts'
import { containerName, containerOptions } from './container.ts'
import type { CpuSets } from './cpu-sets.ts'
import { type Engine, reasonOf, statusOf, withSignal } from './engine.ts'
import type { EngineHost } from './engine-host.ts'
import { agentPortOf } from './find-container.ts'
import type { DockerGuest } from './handle.ts'
import type { InstanceNetwork } from './network.ts'
import type { Transport } from './transport.ts'

/** Longest time that the engine may take to create and start a container, in milliseconds */
export const launchMs = 60_000
/** Longest time from the container's start to the agent's first answer, in milliseconds */
const readyMs = 15_000

export interface StartOptions {
  engine: Engine
  engineHost: EngineHost
  instanceId: string
  guestBinary: string
  cpuSets: CpuSets
  network: InstanceNetwork
  transport: Transport
  /** The guest's run directory, empty */
  directory: string
}

/**
 * Creates and starts the container. Not ended by the caller's signal: a request that is dropped half-way may still
 * leave a container, after any clean-up that didn't wait for it.
 */
export async function launchContainer(spec: GuestSpec, options: StartOptions): Promise<DockerGuest> {
  const { engine, network, transport } = options
  const deadline = patientSignal(launchMs)
  const part = await transport.prepare(options.directory, deadline)
  const confinement = await confinementOf(options.engineHost, spec.memoryMb, deadline)
  const cpus = await options.cpuSets.take(spec.sandboxId, spec.cpuCount, deadline)
  const names = { network: network.name, transport: transport.name }
  const body = containerOptions({ ...options, ...names, spec, part, confinement, cpus })
  const request = { _query: { name: containerName(options.instanceId, spec.sandboxId) }, _body: body }
  const containerId = await engine.call(deadline, async (docker, both) => {
    try {
      return (await docker.createContainer(withSignal(request, both))).id
    } catch (error) {
      throw creationError(error, spec)
    }
  })
  const port = await runContainer(containerId, options, deadline)
  return { sandboxId: spec.sandboxId, containerId, transport: transport.name, port }
}

/** Starts a container that is there. Returns the port that the engine has published for its agent, or 0. */
export async function runContainer(
  containerId: string,
  { engine, network, transport }: Pick<StartOptions, 'engine' | 'network' | 'transport'>,
  deadline: AbortSignal,
): Promise<number> {
  const start = () =>
    engine.call(deadline, (docker, both) => docker.getContainer(containerId).start({ abortSignal: both }))
  await start().catch(async (error) => {
    if (!network.isMissing(error)) throw startError(error)
    await network.rejoin(containerId, deadline)
    await start()
  })
  return transport.name === 'tcp' ? await publishedPort(engine, containerId, deadline) : 0
}

/** Resolves once the agent answers. Errors: `internal` when the container ends or stays silent. */
export async function awaitAgent(
  guest: DockerGuest,
  options: Pick<StartOptions, 'engine' | 'transport' | 'directory'>,
  signal: AbortSignal,
): Promise<void> {
  const { engine, transport, directory } = options
  const settled = new AbortController()
  const timeout = patientSignal(readyMs)
  const either = AbortSignal.any([signal, timeout, settled.signal])
  const ended = engine.call(either, async (docker, both) => {
    const { StatusCode: status } = await docker.getContainer(guest.containerId).wait(withSignal({}, both))
    throw new ServerError(
      'internal',
      `The sandbox's agent could not run in this image (exit status ${status}).`,
    )
  })
  try {
    await Promise.race([transport.ready(guest, directory, either), ended])
  } catch (error) {
    if (timeout.aborted && !signal.aborted) {
      throw new ServerError('internal', `The sandbox's agent did not answer within ${readyMs / 1000} s.`, {
        cause: error,
      })
    }
    throw error
  } finally {
    settled.abort()
    ended.catch(() => {})
  }
}

async function publishedPort(engine: Engine, containerId: string, signal: AbortSignal): Promise<number> {
  const found = await engine.call(signal, (docker, both) =>
    docker.getContainer(containerId).inspect({ abortSignal: both }),
  )
  const port = agentPortOf(found)
  if (port > 0) return port
  throw new ServerError('internal', "The Docker engine has not published the port of the sandbox's agent.")
}

function creationError(error: unknown, { image, sandboxId }: GuestSpec): unknown {
  const reason = reasonOf(error)
  if (statusOf(error) === 404 && /image/i.test(reason)) return imageNotFound(image, error)
  if (statusOf(error) === 409) {
    return new ServerError('conflict', `Sandbox ${sandboxId} has a container already.`, { cause: error })
  }
  if (/invalid reference format/i.test(reason)) {
    return invalidImageName(image, error)
  }
  return error
}

/** A bridge has 1024 ports, and a network a limited number of addresses. */
function startError(error: unknown): unknown {
  const cause = error instanceof ServerError ? error.cause : error
  if (!/exchange full|no available (ipv4 )?addresses/i.test(reasonOf(cause))) return error
  return new ServerError(
    'resource_exhausted',
    'The network of the sandboxes is full: about 1000 fit on one machine.',
    {
      cause: error,
    },
  )
}
