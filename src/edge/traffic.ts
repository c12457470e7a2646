import type { IncomingHttpHeaders } from 'node:http'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { type Answer, portFailure, sandboxNotFound, serverFull, tooManyConnections } from './answer.ts'
import { dialPatiently } from './dial.ts'
import { envdPort } from './envd-port.ts'
import { createCloseWatch, createExchanges, type Exchanges } from './exchanges.ts'
import { maskedHost, refuseByToken } from './ingress.ts'
import { createKeptConnections } from './upstream/kept-connections.ts'
import { createUpstream, type Upstream } from './upstream/upstream.ts'

/** What the edge holds for one live sandbox. All of it ends with the sandbox. */
export interface Traffic {
  readonly sandboxId: string
  readonly name: { sandboxId: string }
  /** What is answered where connecting to a port or the exchange with it failed. */
  failure(port: number, thrown: unknown): Answer
  readonly exchanges: Exchanges
  /** Servers inside close idle connections when they like. */
  readonly keepsIdle: false
  /** What refuses a request to a port, as its headers and the sandbox's connections are; undefined: nothing. */
  refuse(port: number, headers: IncomingHttpHeaders): Answer | undefined
  /** The `Host` that a server inside is told instead of the one asked for; null: that one. */
  maskedHost(port: number): string | null
  /** A kept connection to a port, if there is one. */
  takeKept(port: number): Upstream | undefined
  /** Keeps a connection whose exchange is over, if there is room. */
  keep(port: number, connection: Upstream): void
  /**
   * A new connection to a port, encrypted where its server wants that; `host` is the name that was asked for.
   * `controller` ends the attempt to get it. Errors: those of `dialPatiently` and `secure`.
   */
  connect(host: string, port: number, controller: AbortController): Promise<Upstream>
}

/** Bounds of what traffic may hold, each in one process. */
export interface TrafficLimits {
  /** Requests and upgrades of one sandbox at once */
  maxConnections: number
  /** The same of all sandboxes together */
  maxAllConnections: number
  /** Idle connections into sandboxes, of all together */
  maxKept: number
}

/** More than any client has, for whoever has no limit of open files. */
export const defaultTrafficLimits: TrafficLimits = {
  maxConnections: 10_000,
  maxAllConnections: 100_000,
  maxKept: 10_000,
}

/** Finds the traffic of a sandbox, made at its first request. The sandbox must not be gone. */
export function createTrafficTable(limits: TrafficLimits): (sandbox: LiveSandbox) => Traffic {
  const { maxConnections, maxAllConnections, maxKept } = limits
  const bySandbox = new WeakMap<LiveSandbox, Traffic>()
  const watch = createCloseWatch()
  const all = { open: 0 }
  const room = { left: maxKept }

  const create = (sandbox: LiveSandbox): Traffic => {
    const exchanges = createExchanges(watch, all)
    const attempts = new Set<AbortController>()
    const kept = createKeptConnections(room)
    const end = () => {
      exchanges.endAll(sandboxNotFound(sandbox.id))
      for (const controller of attempts) controller.abort()
      kept.close()
    }
    sandbox.gone.addEventListener('abort', end, { once: true })
    return {
      sandboxId: sandbox.id,
      name: { sandboxId: sandbox.id },
      failure: (port, thrown) => portFailure(sandbox.id, port, thrown),
      exchanges,
      keepsIdle: false,
      refuse(port, headers) {
        const refusal = port === envdPort ? undefined : refuseByToken(sandbox, headers)
        if (refusal !== undefined) return refusal
        if (exchanges.count() >= maxConnections) return tooManyConnections(sandbox.id, port)
        return all.open < maxAllConnections ? undefined : serverFull
      },
      maskedHost: (port) => maskedHost(sandbox.ingress, port),
      takeKept: kept.take,
      keep: kept.put,
      async connect(host, port, controller) {
        attempts.add(controller)
        try {
          return createUpstream(await dialPatiently(sandbox, port, host, controller))
        } finally {
          attempts.delete(controller)
        }
      },
    }
  }

  return (sandbox) => {
    const known = bySandbox.get(sandbox)
    if (known) return known
    const created = create(sandbox)
    bySandbox.set(sandbox, created)
    return created
  }
}
