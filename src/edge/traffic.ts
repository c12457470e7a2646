import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { dialPatiently } from './dial.ts'
import { createCloseWatch, createExchanges, type Exchanges } from './exchanges.ts'
import { createKeptConnections } from './upstream/kept-connections.ts'
import { createUpstream, type Upstream } from './upstream/upstream.ts'

/** What the edge holds for one live sandbox. All of it ends with the sandbox. */
export interface Traffic {
  readonly sandboxId: string
  readonly exchanges: Exchanges
  /** A kept connection to a port, if there is one. */
  takeKept(port: number): Upstream | undefined
  /** Keeps a connection whose exchange is over, if there is room. */
  keep(port: number, connection: Upstream): void
  /** A new connection to a port. `controller` ends the attempt to get it. Errors: those of `dialPatiently`. */
  connect(port: number, controller: AbortController): Promise<Upstream>
}

/** Finds the traffic of a sandbox, made at its first request. The sandbox must not be gone. */
export function createTrafficTable(): (sandbox: LiveSandbox) => Traffic {
  const bySandbox = new WeakMap<LiveSandbox, Traffic>()
  const onClose = createCloseWatch()

  const create = (sandbox: LiveSandbox): Traffic => {
    const exchanges = createExchanges(onClose)
    const attempts = new Set<AbortController>()
    const kept = createKeptConnections()
    const end = () => {
      exchanges.cutAll()
      for (const controller of attempts) controller.abort()
      kept.close()
    }
    sandbox.gone.addEventListener('abort', end, { once: true })
    return {
      sandboxId: sandbox.id,
      exchanges,
      takeKept: kept.take,
      keep: kept.put,
      async connect(port, controller) {
        attempts.add(controller)
        try {
          return createUpstream(await dialPatiently(sandbox, port, controller))
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
