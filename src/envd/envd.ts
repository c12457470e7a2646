/**
 * envd, the API that E2B's clients expect on port 49983 of every sandbox, served from the host: Connect RPCs for
 * processes and the file system, HTTP for file contents (e2b-wire 3). The sandbox itself has only the agent.
 */
import { toError } from '../domain/error.ts'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { metrics } from '../guest/metrics.ts'
import type { Log } from '../lib/log.ts'
import { requireToken } from './access.ts'
import { applyCors } from './cors.ts'
import { createEnvdLog } from './envd-log.ts'
import { serveCompose } from './files/compose.ts'
import { serveFiles } from './files/route.ts'
import { countAnswers, createLoad, type Load } from './load.ts'
import { createRequestScope } from './request-scope.ts'
import { sendError, sendJson, sendStatus } from './respond.ts'
import { createRpcHandler, type RpcHandler } from './rpc/rpc-handler.ts'
import { presentMetrics } from './system.ts'
import type { EnvdTarget } from './target.ts'

export interface EnvdOptions {
  log: Log
  /** A connection on which nothing has moved for that long during a request is cut. In milliseconds */
  idleTimeoutMs?: number
}

/** Longer than anything that is done without a byte moving, in milliseconds. */
const idleTimeoutDefaultMs = 900_000

export interface Envd {
  /** Serves one request. Never throws; answers errors itself, and cuts a response that can't be completed. */
  handle(target: EnvdTarget, req: HttpRequest, res: HttpResponse): void
}

/** One envd serves all sandboxes: whatever belongs to one is in its target. */
export function createEnvd({ log, idleTimeoutMs = idleTimeoutDefaultMs }: EnvdOptions): Envd {
  const load = createLoad()
  const envdLog = createEnvdLog(log)
  const handleRpc = createRpcHandler(envdLog, load)
  return {
    handle(given, req, res) {
      const target = countAnswers(given, load)
      // Connections break at any time; whoever uses them learns it from the request's scope.
      req.on('error', () => {})
      res.on('error', () => {})
      res.setTimeout(idleTimeoutMs, () => res.destroy())
      route(target, { req, res }, { handleRpc, load }).catch((thrown) => {
        if (res.destroyed || res.writableEnded) return
        const error = toError(thrown)
        envdLog.report(target, error)
        sendError(res, error)
      })
    },
  }
}

async function route(
  target: EnvdTarget,
  { req, res }: { req: HttpRequest; res: HttpResponse },
  { handleRpc, load }: { handleRpc: RpcHandler; load: Load },
): Promise<void> {
  if (applyCors(req, res)) return
  const [path = '', query = ''] = split(req.url ?? '')
  if (path === '/health') return serveGet(req, res, () => res.writeHead(204).end())
  if (path === '/files') return serveFiles(target, req, res, new URLSearchParams(query))

  requireToken(target, req)
  if (handleRpc(target, req, res, path)) return
  if (path === '/files/compose') return serveCompose(target, req, res, load)
  if (path === '/envs') return serveGet(req, res, () => sendJson(res, 200, target.envVars))
  if (path === '/metrics') {
    return serveGet(req, res, async () => {
      const { signal } = createRequestScope(res, target.gone)
      sendJson(res, 200, presentMetrics(await metrics(target.guest, signal)))
    })
  }
  sendStatus(res, 404, "There is nothing at this path of the sandbox's API.")
}

async function serveGet(req: HttpRequest, res: HttpResponse, answer: () => unknown): Promise<void> {
  if (req.method === 'GET' || req.method === 'HEAD') await answer()
  else sendStatus(res, 405, 'This path is read with GET.', { allow: 'GET, HEAD' })
}

/** Path and query of a request's URL. */
function split(url: string): [path: string, query: string] {
  const at = url.indexOf('?')
  return at === -1 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}
