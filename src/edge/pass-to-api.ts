/**
 * Requests for the API, passed on to the process that answers them. They go over a unix socket of the server's own, as
 * they came: who asks is proved by their key alone.
 */
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { connectSocket } from '../lib/connect-socket.ts'
import type { Log } from '../lib/log.ts'
import { type Answer, routeError, send, serverFull } from './answer.ts'
import { createCloseWatch, createExchanges } from './exchanges.ts'
import { type ForwardTarget, forward } from './forward.ts'
import { createKeptConnections } from './upstream/kept-connections.ts'
import { createUpstream } from './upstream/upstream.ts'

/** The one port that there is behind a unix socket. */
const noPort = 0

/** `socket`: the path where the API listens; its server must not close idle connections. The function it returns never throws and answers errors itself. */
export function createPassToApi({
  socket,
  maxRequests,
  log,
}: {
  socket: string
  /** How many may be under way at once */
  maxRequests: number
  log: Log
}): (req: HttpRequest, res: HttpResponse) => void {
  const kept = createKeptConnections()
  const target: ForwardTarget = {
    name: { to: 'api' },
    keepsIdle: true,
    exchanges: createExchanges(createCloseWatch()),
    maskedHost: () => null,
    takeKept: kept.take,
    keep: kept.put,
    connect: async (_host, _port, { signal }) =>
      createUpstream(await connectSocket({ path: socket }, signal)),
    failure: () => away,
  }
  return (req, res) => {
    if (target.exchanges.count() >= maxRequests) return send(req, res, serverFull)
    forward({ req, res, port: noPort, traffic: target, awaitsContinue: false, log })
  }
}

/** While the process with the API is started again. */
const away: Answer = {
  ...routeError(503, 'The server is starting again. Try again in a moment.'),
  retryAfterS: 1,
}
