/** Keeps the sandboxes' network closed: the kernel's rules for its bridge (src/network/rules.ts). */
import { readFile } from 'node:fs/promises'
import { ServerError } from '../../domain/error.ts'
import { applyRules, lackingChains } from '../../network/nft.ts'
import { hostResolvers } from '../../network/resolvers.ts'
import { boundsFor, instanceRules, removalOf } from '../../network/rules.ts'
import { trackedMax } from '../../network/tracked-max.ts'
import { instancePrefix } from './container.ts'
import type { EngineHost } from './engine-host.ts'
import { agentPort } from './tcp-transport.ts'

/** What sandboxes may reach: all that the engine lets them, or the open internet and these IPv4 ranges. */
export type EgressChoice = { open: true } | { open: false; allow: readonly string[] }

/** Age from which on rules are looked at again, in milliseconds: others change the kernel's rules too. */
const freshMs = 10_000
const bridgedFile = '/proc/sys/net/bridge/bridge-nf-call-iptables'

const notHere =
  'No sandbox can be started: only root, and only on the machine of the Docker engine, can keep sandboxes out of ' +
  'private networks. Run the server as root there, or start it with --open-egress, by which sandboxes reach whatever this machine does.'

export interface Bridge {
  /** Name of the interface on this machine */
  name: string
  /** IPv4 in CIDR notation */
  subnet: string
}

export interface Firewall {
  /**
   * Makes sure that the rules are there, as they have to be now. Errors: `failed_precondition` with what to do, of which a
   * `BridgeMissing` may only mean that somebody removed the network.
   */
  ensure(bridge: Bridge, signal: AbortSignal): Promise<void>
  /** Removes the rules. Never throws: they are for a bridge that is gone. */
  release(): Promise<void>
}

/** This machine has no such interface. */
export class BridgeMissing extends ServerError {}

/** The name of a server's table of rules. */
export function tableName(instanceId: string): string {
  return `e2b_${instancePrefix(instanceId)}`
}

export function createFirewall(
  instanceId: string,
  egress: EgressChoice,
  engineHost: Pick<EngineHost, 'isOurs'>,
): Firewall {
  const table = tableName(instanceId)
  let applied: { bridge: string; text: string; at: number } | undefined
  let turn: Promise<unknown> = Promise.resolve()

  /** One at a time, in the order of the calls. */
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const done = turn.then(task)
    turn = done.catch(() => {})
    return done
  }

  const bringUp = async (bridge: Bridge, signal: AbortSignal) => {
    if (egress.open) {
      // Of an earlier start, which was closed.
      if (applied === undefined) await applyRules(removalOf(table)).catch(() => {})
      applied = { bridge: bridge.name, text: '', at: performance.now() }
      return
    }
    const isFresh = applied !== undefined && performance.now() - applied.at < freshMs
    if (isFresh && applied?.bridge === bridge.name) return
    if (!(await engineHost.isOurs(signal))) throw new ServerError('failed_precondition', notHere)
    if (!(await hasInterface(bridge.name))) throw new BridgeMissing('failed_precondition', notHere)
    await filterBridged()
    const text = instanceRules({
      table,
      bridge: bridge.name,
      subnet: bridge.subnet,
      resolvers: await hostResolvers(),
      allow: egress.allow,
      agentPort,
      bounds: boundsFor(await trackedMax()),
    })
    if (applied?.text !== text || (await lackingChains(table, text)).length > 0) await applyRules(text)
    applied = { bridge: bridge.name, text, at: performance.now() }
  }

  return {
    ensure: (bridge, signal) => inTurn(() => bringUp(bridge, signal)),
    release: () =>
      inTurn(async () => {
        applied = undefined
        await applyRules(removalOf(table)).catch(() => {})
      }),
  }
}

/** Packets between two ports of a bridge pass the rules only where the kernel was told so. Errors: `failed_precondition`. */
async function filterBridged(): Promise<void> {
  const value = await readFile(bridgedFile, 'utf8').catch(() => 'missing')
  if (value.trim() === '1') return
  throw new ServerError(
    'failed_precondition',
    'No sandbox can be started: the kernel does not filter between them. Set it with: modprobe br_netfilter && ' +
      'sysctl net.bridge.bridge-nf-call-iptables=1',
  )
}

/** An engine on this kernel may still have a network name space of its own, where rules made here are of no use. */
async function hasInterface(name: string): Promise<boolean> {
  const interfaces = await readFile('/proc/net/dev', 'utf8')
  return interfaces.split('\n').some((line) => line.trim().startsWith(`${name}:`))
}
