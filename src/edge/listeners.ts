/** What one HTTP server listens for so that it serves the API and sandboxes together. */
import type { IncomingMessage, Server } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { routeError } from './answer.ts'
import type { Edge } from './edge.ts'
import { envdPort } from './envd-port.ts'
import { hasBody, tokens } from './forward-headers.ts'
import type { Route } from './route.ts'
import { webSocketEvent } from './traffic-server.ts'
import { http1Upgrade, http2WebSocket } from './upgrade-client.ts'

export interface ListenerOptions {
  edge: Edge
  /** Never throws */
  routeOf(req: HttpRequest): Route
  /** Serves what is not for a sandbox; answers errors itself */
  api(req: HttpRequest, res: HttpResponse): void
}

/** Makes `server` serve the API and sandboxes: takes all of its events that are requests. */
export function listenFor(server: Server, { edge, routeOf, api }: ListenerOptions): void {
  const serve = (req: HttpRequest, res: HttpResponse, awaitsContinue: boolean) => {
    const route = routeOf(req)
    if (route.kind !== 'api') return edge.handleRequest(req, res, route, { awaitsContinue })
    if (awaitsContinue) res.writeContinue()
    api(req, res)
  }
  server.on('request', (req, res) => serve(req, res, false))
  server.on('checkContinue', (req, res) => serve(req, res, true))
  server.on('upgrade', (req, socket, head) => {
    const route = routeOf(req)
    if (route.kind === 'api' || !canTunnel(req, route))
      return serveWithoutUpgrade(server, { req, socket, head })
    edge.handleUpgrade(http1Upgrade(req, socket, head), route)
  })
  server.on(webSocketEvent, (req: Http2ServerRequest) => {
    const route = routeOf(req)
    const client = http2WebSocket(req)
    if (route.kind === 'api') client.refuse(routeError(400, 'There are no WebSockets at this address.'))
    else edge.handleUpgrade(client, route)
  })
}

/**
 * Whether an upgrade can become a tunnel. Some clients add `Upgrade: h2c` to every request, bodies included, and are
 * as glad of HTTP/1.1; Node has not read a body by then. Envd has no upgrades.
 */
function canTunnel(req: IncomingMessage, route: Exclude<Route, { kind: 'api' }>): boolean {
  if (route.kind === 'sandbox' && route.port === envdPort) return false
  return !hasBody(req) && !tokens(req.headers.upgrade).includes('h2c')
}

/**
 * Serves an upgrade request as if it hadn't asked for one, which HTTP allows: Node hands over every upgrade once
 * someone listens. The request is put back in front of its connection without the question, and read anew.
 */
function serveWithoutUpgrade(
  server: Server,
  { req, socket, head }: { req: IncomingMessage; socket: Duplex; head: Buffer },
): void {
  const asked = ['upgrade', 'http2-settings']
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`]
  for (let i = 0; i + 1 < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]!
    let value = req.rawHeaders[i + 1]!
    if (asked.includes(name.toLowerCase())) continue
    if (name.toLowerCase() === 'connection') {
      value = tokens(value)
        .filter((token) => !asked.includes(token))
        .join(', ')
      if (value === '') continue
    }
    lines.push(`${name}: ${value}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}
