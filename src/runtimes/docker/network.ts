/**
 * The network that the sandboxes of one server share: a bridge on which they can't reach each other. Outwards it is
 * what the engine gives to any container.
 */

import { ServerError } from '../../domain/error.ts'
import { abortable } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import { instanceLabel, instancePrefix } from './container.ts'
import { type Client, type Engine, reasonOf, statusOf, withSignal } from './engine.ts'

/** Longest time for making the network, in milliseconds */
const createMs = 20_000

/** Longest time for removing it, in milliseconds */
const removeMs = 5_000

export interface InstanceNetwork {
  readonly name: string
  /** Makes sure that it exists. Errors: `resource_exhausted` (addresses), `conflict` (a foreign one of that name). */
  ensure(signal: AbortSignal): Promise<void>
  /** Removes it if it is ours and has no containers. Never throws: what stays is found by the next `ensure`. */
  release(): Promise<void>
  /** Whether a call failed because somebody removed the network; the next `ensure` makes it again. */
  isMissing(error: unknown): boolean
  /** Puts a container that doesn't run into the network as it is now: the engine has it in one by id. As `ensure`. */
  rejoin(containerId: string, signal: AbortSignal): Promise<void>
}

export function createInstanceNetwork(engine: Engine, instanceId: string): InstanceNetwork {
  const name = `e2b-${instancePrefix(instanceId)}`
  let ensured: Promise<void> | undefined

  const ensure = (signal: AbortSignal) => {
    if (ensured === undefined) {
      // Shared by all who wait, so it ends by its own deadline and not with the caller who came first.
      const making = engine.call(patientSignal(createMs), (docker, both) =>
        findOrCreate(docker, name, instanceId, both),
      )
      making.catch(() => {
        if (ensured === making) ensured = undefined
      })
      ensured = making
    }
    return abortable(ensured, signal)
  }

  return {
    name,
    ensure,
    async release() {
      ensured = undefined
      const removal = engine.call(patientSignal(removeMs), async (docker, both) => {
        // Refused by the engine while containers are attached.
        if (await find(docker, name, instanceId, both))
          await docker.getNetwork(name).remove({ abortSignal: both })
      })
      await removal.catch(() => {})
    },
    isMissing(error) {
      const cause = error instanceof ServerError ? error.cause : error
      const missing = /network (\S+) not found/.exec(reasonOf(cause))?.[1] ?? ''
      if (statusOf(cause) !== 404 || (missing !== name && !/^[0-9a-f]{64}$/.test(missing))) return false
      ensured = undefined
      return true
    },
    async rejoin(containerId, signal) {
      await ensure(signal)
      await engine.call(signal, async (docker, both) => {
        const network = docker.getNetwork(name)
        await network.disconnect(withSignal({ Container: containerId, Force: true }, both))
        await network.connect(withSignal({ Container: containerId }, both))
      })
    },
  }
}

async function findOrCreate(
  docker: Client,
  name: string,
  instanceId: string,
  signal: AbortSignal,
): Promise<void> {
  if (await find(docker, name, instanceId, signal)) return
  try {
    await docker.createNetwork(
      withSignal(
        {
          Name: name,
          CheckDuplicate: true,
          Driver: 'bridge',
          Labels: { [instanceLabel]: instanceId },
          Options: { 'com.docker.network.bridge.enable_icc': 'false' },
        },
        signal,
      ),
    )
  } catch (error) {
    if (/address pool/i.test(reasonOf(error))) {
      throw new ServerError(
        'resource_exhausted',
        'The Docker engine has no addresses left for a network. Remove unused networks (docker network prune).',
        { cause: error },
      )
    }
    if (statusOf(error) === 409 && (await find(docker, name, instanceId, signal))) return
    throw error
  }
}

async function find(docker: Client, name: string, instanceId: string, signal: AbortSignal): Promise<boolean> {
  const network = await docker
    .getNetwork(name)
    .inspect({ abortSignal: signal })
    .catch((error) => {
      if (statusOf(error) === 404) return undefined
      throw error
    })
  if (network === undefined) return false
  const { Labels: labels, Options: options } = network
  if (
    labels?.[instanceLabel] === instanceId &&
    options?.['com.docker.network.bridge.enable_icc'] === 'false'
  ) {
    return true
  }
  throw new ServerError(
    'conflict',
    `A foreign Docker network is named ${name}. Remove it (docker network rm ${name}).`,
  )
}
