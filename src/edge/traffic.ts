import type { RequestOptions } from 'node:http'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { dialPatiently } from './dial.ts'
import { createCloseWatch, createExchanges, type Exchanges } from './exchanges.ts'
import { ConnectionPool, giveConnection } from './pool.ts'

/** What the edge holds for one live sandbox. All of it ends with the sandbox. */
export interface Traffic {
  readonly sandboxId: string
  readonly exchanges: Exchanges
  /** For `http.request`: a kept connection to the port where there is one, else a new one that is kept afterwards. */
  pooledConnection(port: number): RequestOptions
  /** For `http.request`: a connection for this request only. `controller` ends the attempt to get it. */
  ownConnection(port: number, controller: AbortController): RequestOptions
}

/** Finds the traffic of a sandbox, made at its first request. The sandbox must not be gone. */
export function createTrafficTable(): (sandbox: LiveSandbox) => Traffic {
  const bySandbox = new WeakMap<LiveSandbox, Traffic>()
  const onClose = createCloseWatch()

  const create = (sandbox: LiveSandbox): Traffic => {
    const exchanges = createExchanges(onClose)
    const attempts = new Set<AbortController>()
    const dial = (port: number, controller: AbortController) => {
      attempts.add(controller)
      return dialPatiently(sandbox, port, controller).finally(() => attempts.delete(controller))
    }
    const pool = new ConnectionPool((port) => dial(port, new AbortController()))
    const end = () => {
      exchanges.cutAll()
      for (const controller of attempts) controller.abort()
      pool.destroy()
    }
    sandbox.gone.addEventListener('abort', end, { once: true })
    return {
      sandboxId: sandbox.id,
      exchanges,
      pooledConnection: (port) => ({ host: sandbox.id, port, agent: pool }),
      ownConnection: (port, controller) => ({
        createConnection: (_options, callback) => {
          giveConnection(dial(port, controller), callback)
          return undefined
        },
      }),
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
