/**
 * The listener for programs with `E2B_DEBUG=true`: SDKs then make no API call and speak to `localhost:49983` without
 * any token (e2b-wire 1.6). Whoever reaches this port uses the debug sandbox, so it listens on loopback only, and
 * refuses web pages: another site's (Origin, Sec-Fetch-Site) and rebound names (Host).
 */

import { isIP } from 'node:net'
import { debugSandboxId } from '../control/debug-sandbox.ts'
import { toError } from '../domain/error.ts'
import type { HttpRequest } from '../domain/http.ts'
import { type Answer, routeError, send } from '../edge/answer.ts'
import type { Edge } from '../edge/edge.ts'
import { envdPort } from '../edge/envd-port.ts'
import { listenFor } from '../edge/listeners.ts'
import type { ErrorRoute, SandboxRoute } from '../edge/route.ts'
import { createTrafficServer, type TrafficServer } from '../edge/traffic-server.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { httpStatus } from '../wire/error-map.ts'

/** How long a first request waits for the debug sandbox, in ms. */
const startTimeoutMs = 60_000

export interface DebugListenerParts {
  edge: Edge
  /** Makes sure that the debug sandbox runs */
  ensure: (signal: AbortSignal) => Promise<void>
  log: Log
}

/** A server for HTTP/1.1 and HTTP/2, not listening. */
export function createDebugListener(parts: DebugListenerParts): TrafficServer {
  const server = createTrafficServer()
  listenFor(server, {
    edge: startFirst(parts),
    routeOf: debugRoute,
    api: (req, res) => send(req, res, routeError(404, 'There is no API on this port.')),
  })
  return server
}

/** An edge that starts the sandbox before a request goes to it. */
function startFirst({ edge, ensure, log }: DebugListenerParts): Edge {
  const start = async (): Promise<Answer | undefined> => {
    try {
      await ensure(patientSignal(startTimeoutMs))
      return undefined
    } catch (thrown) {
      const error = toError(thrown)
      log.error({ err: error, cause: error.cause }, 'the debug sandbox could not be started')
      return routeError(httpStatus(error), error.message)
    }
  }
  return {
    handleRequest(req, res, route, options) {
      if (route.kind === 'error') return edge.handleRequest(req, res, route, options)
      void start().then((failure) => {
        if (failure === undefined) edge.handleRequest(req, res, route, options)
        else if (!res.destroyed) send(req, res, failure)
      })
    },
    handleUpgrade(client, route) {
      if (route.kind === 'error') return edge.handleUpgrade(client, route)
      // Node takes its own listener off a connection that it hands over; an unheard error would end the program.
      client.stream.on('error', () => client.stream.destroy())
      void start().then((failure) => {
        if (failure === undefined) edge.handleUpgrade(client, route)
        else client.refuse(failure)
      })
    },
  }
}

/** Every request is for the debug sandbox, if it is a local program's. */
function debugRoute(req: HttpRequest): SandboxRoute | ErrorRoute {
  if (isLocal(req)) return { kind: 'sandbox', sandboxId: debugSandboxId, port: portOf(req) }
  return { kind: 'error', status: 403, message: 'The debug sandbox takes requests of local programs only.' }
}

function portOf(req: HttpRequest): number {
  const port = Number(req.headers['e2b-sandbox-port'])
  return Number.isInteger(port) && port > 0 && port < 65536 ? port : envdPort
}

function isLocal({ headers }: HttpRequest): boolean {
  const { host, origin } = headers
  if (isOfAnotherSite(headers)) return false
  return isLoopbackHost(host) && (origin === undefined || isLoopbackHost(origin.replace(/^https?:\/\//, '')))
}

/**
 * Whether a page of another site has made a browser ask, or one of another port of this machine without somebody going
 * there. What pages include (images, scripts) comes without `Origin`.
 */
function isOfAnotherSite(headers: HttpRequest['headers']): boolean {
  const site = headers['sec-fetch-site']
  return site === 'cross-site' || (site === 'same-site' && headers['sec-fetch-mode'] !== 'navigate')
}

function isLoopbackHost(host: string | undefined): boolean {
  if (host === undefined) return false
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
}
