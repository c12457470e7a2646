/**
 * The network that the sandboxes of one server share: a bridge on which they can't reach each other, closed by rules of
 * its own (`firewall.ts`).
 */
import { ServerError } from '../../domain/error.ts'
import { abortable, sleep } from '../../lib/deadline.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import type { Log } from '../../lib/log.ts'
import { patientSignal } from '../../lib/patience.ts'
import { instanceLabel, instancePrefix } from './container.ts'
import { type Client, type Engine, reasonOf, statusOf, withSignal } from './engine.ts'
import { type Bridge, BridgeMissing, type Firewall } from './firewall.ts'

/** Longest time for making the network, in milliseconds */
const createMs = 20_000

/** Longest time for removing it, in milliseconds */
const removeMs = 5_000

/** How often its rules are looked at, and how long one look may take, in milliseconds */
const refreshMs = { pause: 30_000, limit: 20_000 }

export interface InstanceNetwork {
  readonly name: string
  /**
   * Makes sure that it exists, closed by its rules. Errors: `resource_exhausted` (addresses), `conflict` (a foreign one
   * of that name), `failed_precondition` (rules).
   */
  ensure(signal: AbortSignal): Promise<void>
  /** Gives one that exists its rules again, and removes those of one that doesn't. Errors: as `ensure`. */
  refresh(signal: AbortSignal): Promise<void>
  /** Removes it if it is ours and has no containers. Never throws: what stays is found by the next `ensure`. */
  release(): Promise<void>
  /** Whether a call failed because somebody removed the network; the next `ensure` makes it again. */
  isMissing(error: unknown): boolean
  /** Puts a container that doesn't run into the network as it is now: the engine has it in one by id. As `ensure`. */
  rejoin(containerId: string, signal: AbortSignal): Promise<void>
}

export function createInstanceNetwork(
  engine: Engine,
  instanceId: string,
  firewall: Firewall,
): InstanceNetwork {
  const name = `e2b-${instancePrefix(instanceId)}`
  let ensured: Promise<Bridge> | undefined

  const findOnce = () => {
    if (ensured === undefined) {
      // Shared by all who wait, so it ends by its own deadline and not with the caller who came first.
      const making = engine.call(patientSignal(createMs), (docker, both) =>
        findOrCreate(docker, name, instanceId, both),
      )
      making.catch(() => forget(making))
      ensured = making
    }
    return ensured
  }
  const forget = (found: Promise<Bridge>) => {
    if (ensured === found) ensured = undefined
  }
  /** Closes the network as it is known. What turns out to be of one that is gone isn't known any longer. */
  const closeKnown = async (signal: AbortSignal) => {
    const found = findOnce()
    const bridge = await abortable(found, signal)
    try {
      await firewall.ensure(bridge, signal)
    } catch (error) {
      if (error instanceof BridgeMissing) forget(found)
      throw error
    }
  }
  const ensure = async (signal: AbortSignal) => {
    try {
      await closeKnown(signal)
    } catch (error) {
      if (!(error instanceof BridgeMissing)) throw error
      // Somebody removed the network since it was found; if not, this says so.
      await closeKnown(signal)
    }
  }

  return {
    name,
    ensure,
    async refresh(signal) {
      const bridge = await engine.call(signal, (docker, both) => find(docker, name, instanceId, both))
      if (bridge !== undefined) await firewall.ensure(bridge, signal)
      // One that is being made meanwhile gets its rules after this.
      else if (ensured === undefined) await firewall.release()
    },
    async release() {
      ensured = undefined
      const removal = engine.call(patientSignal(removeMs), async (docker, both) => {
        // Refused by the engine while containers are attached, which go on needing the rules.
        if (await find(docker, name, instanceId, both))
          await docker.getNetwork(name).remove({ abortSignal: both })
        await firewall.release()
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
): Promise<Bridge> {
  const there = await find(docker, name, instanceId, signal)
  if (there !== undefined) return there
  try {
    await docker.createNetwork(
      withSignal(
        {
          Name: name,
          CheckDuplicate: true,
          Driver: 'bridge',
          // The rules refuse it altogether.
          EnableIPv6: false,
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
    if (statusOf(error) !== 409) throw error
  }
  const made = await find(docker, name, instanceId, signal)
  if (made !== undefined) return made
  throw new ServerError('unavailable', 'The network of the sandboxes is gone again. Try again.')
}

async function find(
  docker: Client,
  name: string,
  instanceId: string,
  signal: AbortSignal,
): Promise<Bridge | undefined> {
  const network = await docker
    .getNetwork(name)
    .inspect({ abortSignal: signal })
    .catch((error) => {
      if (statusOf(error) === 404) return undefined
      throw error
    })
  if (network === undefined) return undefined
  const { Id: id, Labels: labels, Options: options, IPAM: ipam } = network
  const subnet = ipam?.Config?.map(({ Subnet }) => Subnet).find((each) => each?.includes('.'))
  if (
    subnet !== undefined &&
    labels?.[instanceLabel] === instanceId &&
    options?.['com.docker.network.bridge.enable_icc'] === 'false'
  ) {
    return { name: `br-${id.slice(0, 12)}`, subnet }
  }
  throw new ServerError(
    'conflict',
    `A foreign Docker network is named ${name}. Remove it (docker network rm ${name}).`,
  )
}

/**
 * Looks at a network's rules now and every half minute until the signal aborts, as others change the kernel's rules too.
 * Never rejects.
 */
export async function keepClosed(network: InstanceNetwork, log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const bounded = linkSignals([signal], refreshMs.limit)
    await network.refresh(bounded.signal).catch((error) => {
      if (!signal.aborted && isAboutRules(error))
        log.error({ err: error }, 'the network of the sandboxes is not closed')
    })
    bounded.dispose()
    await sleep(refreshMs.pause, signal).catch(() => {})
  }
}

/** Whether it is about rules, and not an engine that doesn't answer. */
function isAboutRules(error: unknown): boolean {
  return error instanceof ServerError && error.code === 'failed_precondition'
}
