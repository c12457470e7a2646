/**
 * The one listener for API and sandbox traffic. Host name and headers decide which of the two a request is for
 * (spec/routing.md).
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Edge } from '../edge/edge.ts'
import { listenFor } from '../edge/listeners.ts'
import { routeOfRequest } from '../edge/route.ts'

/** How long an idle client connection is kept, in ms: longer than any keepalive interval of the SDKs (e2b-wire 1.8). */
const idleTimeoutMs = 620_000

/** An HTTP server, not listening, that gives `api` what isn't sandbox traffic. */
export function createListener(api: RequestListener, edge: Edge): Server {
  const server = createTrafficServer()
  listenFor(server, { edge, api, routeOf: (req) => routeOfRequest(req) })
  return server
}

/** A server without the limits that would cut long streams and large uploads. */
export function createTrafficServer(): Server {
  const server = createServer({ keepAliveTimeout: idleTimeoutMs, requestTimeout: 0 })
  server.on('clientError', (_error, socket) => {
    if (!socket.writable) return socket.destroy()
    const body = JSON.stringify({ code: 400, message: 'This is not a valid HTTP/1.1 request.' })
    const head = `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`
    return socket.end(`${head}Connection: close\r\n\r\n${body}`)
  })
  return server
}
