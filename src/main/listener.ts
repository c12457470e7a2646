/**
 * The one listener for API and sandbox traffic. Host name and headers decide which of the two a request is for
 * (spec/routing.md).
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Edge } from '../edge/edge.ts'
import { listenFor } from '../edge/listeners.ts'
import { routeOfRequest } from '../edge/route.ts'
import type { FindSigned } from '../edge/signed-urls.ts'
import { createTrafficServer } from '../edge/traffic-server.ts'

export interface ListenerParts {
  /** Serves what isn't sandbox traffic */
  api: RequestListener
  edge: Edge
  findSigned: FindSigned
}

/** A server for HTTP/1.1 and HTTP/2, not listening. */
export function createListener({ api, edge, findSigned }: ListenerParts): Server {
  const server = createTrafficServer()
  listenFor(server, {
    edge,
    routeOf: (req) => routeOfRequest(req),
    api(req, res) {
      const signed = findSigned(req)
      if (signed !== undefined) void signed.then((route) => edge.handleRequest(req, res, route))
      // Fastify serves requests of both versions; its types know only the version of the server it made.
      else api(req as IncomingMessage, res as ServerResponse)
    },
  })
  return server
}
