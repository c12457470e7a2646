/**
 * The traffic of sandboxes: finds the sandbox that a request is for and lets the two talk. Which request is for whom
 * is `route.ts`; this only needs the outcome, so that a listener of one fixed sandbox can give its own.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import type { LiveSandbox, SandboxDirectory } from '../domain/live-sandbox.ts'
import type { Log } from '../lib/log.ts'
import { type Answer, routeError, sandboxNotFound, send, sendRaw } from './answer.ts'
import { connectionOf } from './connection-of.ts'
import { forward } from './forward.ts'
import type { ErrorRoute, SandboxRoute } from './route.ts'
import { createTrafficTable, type Traffic } from './traffic.ts'
import { tunnel } from './tunnel.ts'

/** The port that the server itself answers: envd, the sandbox's API. */
export const envdPort = 49_983

export interface EdgeOptions {
  directory: Pick<SandboxDirectory, 'find'>
  log: Log
}

export interface RequestHandlingOptions {
  /**
   * The client waits for `100 Continue` and has not been given one: the request came by the server's `checkContinue`
   * event. False by default.
   */
  awaitsContinue?: boolean
}

/** Both methods take over what they are given and never throw. */
export interface Edge {
  handleRequest(
    req: HttpRequest,
    res: HttpResponse,
    route: SandboxRoute | ErrorRoute,
    options?: RequestHandlingOptions,
  ): void
  /** For Node's `upgrade` event; `listeners.ts` keeps away those that can't become one. */
  handleUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer, route: SandboxRoute | ErrorRoute): void
}

export function createEdge({ directory, log }: EdgeOptions): Edge {
  const trafficOf = createTrafficTable()

  /** Where a route leads now, or the answer to give instead. */
  const resolve = (route: SandboxRoute | ErrorRoute): Target | { answer: Answer } => {
    if (route.kind === 'error') return { answer: routeError(route.status, route.message) }
    const sandbox = directory.find(route.sandboxId)
    if (!sandbox || sandbox.gone.aborted) return { answer: sandboxNotFound(route.sandboxId) }
    return { sandbox, traffic: trafficOf(sandbox), port: route.port }
  }

  return {
    handleRequest(req, res, route, { awaitsContinue = false } = {}) {
      // A caller may have waited for something; nothing would ever say again that the client has left.
      const connection = connectionOf(req)
      if (connection.destroyed) return
      const target = resolve(route)
      if ('answer' in target) return send(res, target.answer)
      const { sandbox, traffic, port } = target
      if (port !== envdPort) return forward({ req, res, port, traffic, awaitsContinue, log })
      const end = traffic.exchanges.begin(connection, () => {})
      res.once('close', end)
      if (awaitsContinue) res.writeContinue()
      sandbox.envd(req, res)
    },

    handleUpgrade(req, socket, head, route) {
      // Node takes its own listener off a connection that it hands over; an unheard error would end the program.
      socket.on('error', () => socket.destroy())
      if (socket.destroyed) return
      const target = resolve(route)
      if ('answer' in target) return sendRaw(socket, target.answer)
      const { traffic, port } = target
      if (port === envdPort) return sendRaw(socket, routeError(400, 'This port does not take upgrades'))
      tunnel({ req, socket, head, port, traffic, log })
    },
  }
}

interface Target {
  sandbox: LiveSandbox
  traffic: Traffic
  port: number
}
