/**
 * The traffic of sandboxes: finds the sandbox that a request is for and lets the two talk. Which request is for whom
 * is `route.ts`; this only needs the outcome, so that a listener of one fixed sandbox can give its own.
 */
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import type { LiveSandbox, SandboxDirectory, WakeSandbox } from '../domain/live-sandbox.ts'
import type { RequestCounts } from '../domain/telemetry.ts'
import { withOneLeadingSlash } from '../lib/leading-slash.ts'
import type { Log } from '../lib/log.ts'
import { isPreflight, preflightHeaders } from '../wire/cors.ts'
import { type Answer, routeError, sandboxNotFound, send, wakeFailure } from './answer.ts'
import { connectionOf } from './connection-of.ts'
import { envdPort } from './envd-port.ts'
import { createCloseWatch, type Tie } from './exchanges.ts'
import { forward } from './forward.ts'
import { trafficTokenOf } from './ingress.ts'
import { refuseReserved } from './reserved-paths.ts'
import type { ErrorRoute, SandboxRoute } from './route.ts'
import { createTrafficTable, defaultTrafficLimits, type Traffic, type TrafficLimits } from './traffic.ts'
import { tunnel } from './tunnel.ts'
import type { UpgradeClient } from './upgrade-client.ts'
import { createWaker } from './waker.ts'
import { watchForEnd } from './watch-for-end.ts'

export interface EdgeOptions {
  directory: Pick<SandboxDirectory, 'find'>
  log: Log
  /** Wakes sandboxes that traffic is for; without it none is woken */
  wake?: WakeSandbox | undefined
  /** What this process has for traffic */
  limits?: Partial<TrafficLimits> | undefined
  /** Counts what comes */
  counts?: RequestCounts
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
  /** `listeners.ts` keeps away those that can't become one. */
  handleUpgrade(client: UpgradeClient, route: SandboxRoute | ErrorRoute): void
}

export function createEdge({ directory, log, wake, limits, counts }: EdgeOptions): Edge {
  const trafficOf = createTrafficTable({ ...defaultTrafficLimits, ...limits })
  const waker = wake && createWaker(wake)
  const watch = createCloseWatch()

  /** Where a route leads now, or the answer to give instead; undefined: its sandbox may have to wake up first. */
  const resolve = (req: HttpRequest, route: SandboxRoute | ErrorRoute): Target | Refusal | undefined => {
    if (route.kind === 'error') return { answer: routeError(route.status, route.message) }
    const sandbox = directory.find(route.sandboxId)
    if (sandbox && !sandbox.gone.aborted) return admit(req, sandbox, route.port)
    return waker === undefined ? { answer: sandboxNotFound(route.sandboxId) } : undefined
  }

  const admit = (req: HttpRequest, sandbox: LiveSandbox, port: number): Target | Refusal => {
    const traffic = trafficOf(sandbox)
    const answer = traffic.refuse(port, req.headers)
    return answer === undefined ? { sandbox, traffic, port } : { answer }
  }

  /** The same once the sandbox is awake, or as soon as it turns out that it isn't going to be. */
  const wakeFor = async (
    req: HttpRequest,
    { sandboxId, port }: SandboxRoute,
    signal: AbortSignal,
  ): Promise<Target | Refusal> => {
    const accessToken = req.headers['x-access-token']
    const request = {
      port,
      accessToken: typeof accessToken === 'string' ? accessToken : undefined,
      trafficAccessToken: trafficTokenOf(req.headers),
    }
    try {
      const sandbox = await waker?.(sandboxId, request, signal)
      if (sandbox === undefined || sandbox.gone.aborted) return { answer: sandboxNotFound(sandboxId) }
      return admit(req, sandbox, port)
    } catch (thrown) {
      if (!signal.aborted) log.debug({ sandboxId, port, err: thrown }, 'A sandbox was not woken by traffic.')
      return { answer: wakeFailure(sandboxId, thrown) }
    }
  }

  /** Calls `use` with what a request meets: at once, or when its sandbox has woken up, unless the client leaves. */
  const meet = (
    req: HttpRequest,
    connection: Duplex,
    route: SandboxRoute | ErrorRoute,
    use: (met: Target | Refusal) => void,
  ) => {
    const met = resolve(req, route)
    if (met !== undefined) return use(met)
    const leaving = new AbortController()
    const tie: Tie = { connection, onClosed: () => leaving.abort() }
    watch.add(tie)
    void wakeFor(req, route as SandboxRoute, leaving.signal).then((late) => {
      watch.delete(tie)
      if (!connection.destroyed) use(late)
    })
  }

  return {
    handleRequest(req, res, route, { awaitsContinue = false } = {}) {
      // A caller may have waited for something; nothing would ever say again that the client has left.
      const connection = connectionOf(req)
      if (connection.destroyed) return
      // Before the sandbox is looked for, which may wake it (e2b-behaviour 1.6).
      const isForEnvd = route.kind === 'sandbox' && route.port === envdPort
      if (counts !== undefined) counts[route.kind === 'error' ? 'refused' : isForEnvd ? 'envd' : 'port']++
      if (isForEnvd) {
        req.url = withOneLeadingSlash(req.url ?? '')
        // It carries no token, and says nothing of what is behind it: the request that it is for meets the sandbox.
        if (isPreflight(req)) return void res.writeHead(204, preflightHeaders(req)).end()
        const refusal = refuseReserved(req.url)
        if (refusal !== undefined) return send(req, res, refusal)
      }
      meet(req, connection, route, (met) => {
        if ('answer' in met) return send(req, res, met.answer)
        const { sandbox, traffic, port } = met
        if (port !== envdPort) return forward({ req, res, port, traffic, awaitsContinue, log })
        const tie: Tie = {
          connection,
          onClosed: () => traffic.exchanges.end(tie),
          refuse(answer) {
            if (res.headersSent || res.destroyed) return false
            send(req, res, answer)
            return true
          },
        }
        traffic.exchanges.begin(tie)
        res.once('close', tie.onClosed)
        if (awaitsContinue) res.writeContinue()
        sandbox.envd(req, res)
      })
    },

    handleUpgrade(client, route) {
      const { req, stream } = client
      if (counts !== undefined) counts.upgrade++
      // Node takes its own listener off a connection that it hands over; an unheard error would end the program.
      stream.on('error', () => stream.destroy())
      // Joining two streams takes more listeners than Node expects, and no more than that.
      stream.setMaxListeners(0)
      if (stream.destroyed) return
      const stopWatching = watchForEnd(stream, () => stream.destroy())
      meet(req, stream, route, (met) => {
        stopWatching()
        if ('answer' in met) return client.refuse(met.answer)
        const { traffic, port } = met
        if (port === envdPort) return client.refuse(routeError(400, 'This port does not take upgrades'))
        tunnel({ client, port, traffic, log })
      })
    },
  }
}

interface Target {
  sandbox: LiveSandbox
  traffic: Traffic
  port: number
}

interface Refusal {
  answer: Answer
}
