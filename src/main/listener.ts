/**
 * The one listener for API and sandbox traffic. Host name and headers decide which of the two a request is for
 * (spec/routing.md).
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Credentials } from '../domain/credentials.ts'
import type { Edge } from '../edge/edge.ts'
import { disarm } from '../edge/foreign-content.ts'
import { bodyTimeoutMs, limitBody } from '../edge/limit-body.ts'
import { listenFor } from '../edge/listeners.ts'
import { misdirected } from '../edge/misdirected.ts'
import { routeOfRequest } from '../edge/route.ts'
import type { FindSigned } from '../edge/signed-urls.ts'
import { createTrafficServer, type TrafficServer } from '../edge/traffic-server.ts'
import type { Log } from '../lib/log.ts'

export interface ListenerParts {
  /** Serves what isn't sandbox traffic */
  api: RequestListener
  edge: Edge
  findSigned: FindSigned
  /** The server's own domain, if it has one */
  domain?: string | undefined
  /** For TLS, which needs a domain; absent: none */
  credentials?: Credentials | undefined
  /** How many connections of clients there may be */
  maxClients?: number
  log?: Log
}

/** A server for HTTP/1.1 and HTTP/2, not listening. */
export function createListener(parts: ListenerParts): TrafficServer {
  const { api, edge, findSigned, domain, credentials, maxClients, log } = parts
  const server = createTrafficServer({ credentials, maxClients, log })
  const options = { domain }
  listenFor(server, {
    edge,
    routeOf: (req) => misdirected(req, domain) ?? routeOfRequest(req, options),
    api(req, res) {
      const signed = findSigned(req)
      if (signed !== undefined) {
        disarm(res)
        void signed.then((route) => edge.handleRequest(req, res, route))
        return
      }
      limitBody(req, res, bodyTimeoutMs(req))
      // Fastify serves requests of both versions; its types know only the version of the server it made.
      api(req as IncomingMessage, res as ServerResponse)
    },
  })
  return server
}
