/**
 * The listener for programs with `E2B_DEBUG=true`: SDKs then make no API call and speak to `localhost:49983` without
 * any token (e2b-wire 1.6). Whoever reaches this port uses the debug sandbox, so it listens on loopback only, and
 * refuses web pages: another site's script (Origin) and rebound names (Host).
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { debugSandboxId } from '../control/debug-sandbox.ts'
import { toError } from '../domain/error.ts'
import type { Edge } from '../edge/edge.ts'
import type { Log } from '../lib/log.ts'
import { errorBody, httpStatus } from '../wire/error-map.ts'
import { createTrafficServer } from './listener.ts'

const envdPort = 49983

/** How long a first request waits for the debug sandbox, in ms. */
const startTimeoutMs = 60_000

export interface DebugListenerParts {
  edge: Edge
  /** Makes sure that the debug sandbox runs */
  ensure: (signal: AbortSignal) => Promise<void>
  log: Log
}

/** An HTTP server, not listening. */
export function createDebugListener({ edge, ensure, log }: DebugListenerParts): Server {
  const server = createTrafficServer()
  server.on('request', (req, res) => {
    void admit(req, res).then((admitted) => {
      if (admitted)
        edge.handleRequest(req, res, { kind: 'sandbox', sandboxId: debugSandboxId, port: portOf(req) })
    })
  })
  return server

  async function admit(req: IncomingMessage, res: ServerResponse): Promise<boolean> {
    if (!isLocal(req)) {
      refuse(res, 403, 'The debug sandbox takes requests of local programs only.')
      return false
    }
    try {
      await ensure(AbortSignal.timeout(startTimeoutMs))
      return true
    } catch (thrown) {
      const error = toError(thrown)
      log.error({ err: error, cause: error.cause }, 'the debug sandbox could not be started')
      refuse(res, httpStatus(error), error.message)
      return false
    }
  }
}

function portOf(req: IncomingMessage): number {
  const port = Number(req.headers['e2b-sandbox-port'])
  return Number.isInteger(port) && port > 0 && port < 65536 ? port : envdPort
}

function isLocal({ headers: { host, origin } }: IncomingMessage): boolean {
  return isLoopbackHost(host) && (origin === undefined || isLoopbackHost(origin.replace(/^https?:\/\//, '')))
}

function isLoopbackHost(host: string | undefined): boolean {
  if (host === undefined) return false
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'))
}

function refuse(res: ServerResponse, status: number, message: string): void {
  res
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify(errorBody(status, message)))
}
