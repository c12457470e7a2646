/**
 * The Connect protocol over node:http, JSON and binary (e2b-wire 3.1). The Connect library does it for all RPCs but
 * those that stream to the client, which `stream-handler.ts` does. Time limits are ours, because the library's own
 * timer takes 0 for "at once" and doesn't measure more than 24 days.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Code, ConnectError, createConnectRouter, createContextValues } from '@connectrpc/connect'
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from '@connectrpc/connect-node'
import { toError } from '../../domain/error.ts'
import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import type { Log } from '../../lib/log.ts'
import { Filesystem } from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import { Process } from '../../wire/gen/envd/process/process_pb.ts'
import { chooseEncoding } from '../files/accept-encoding.ts'
import { filesystemService } from '../filesystem/service.ts'
import { watchDir } from '../filesystem/watch.ts'
import { connect } from '../process/connect.ts'
import { processService } from '../process/service.ts'
import { start } from '../process/start.ts'
import { reportError } from '../report-error.ts'
import { sendError, sendStatus } from '../respond.ts'
import type { EnvdTarget } from '../target.ts'
import { clientFaults, withClientFault } from './client-faults.ts'
import { gzip } from './gzip.ts'
import { createRpcCall, isTimeoutHeader, type RpcCall, rpcCallKey } from './rpc-call.ts'
import { createStreamHandler } from './stream-handler.ts'

/** The longest message a client may send, in bytes. */
const messageMaxBytes = 16 * 1024 * 1024

/** Answers the request if its path is one of an RPC, and says whether it is. */
export type RpcHandler = (target: EnvdTarget, req: HttpRequest, res: HttpResponse, path: string) => boolean

/** Answers one call of an RPC. */
type MethodHandler = (call: RpcCall, req: HttpRequest, res: HttpResponse) => void

export function createRpcHandler(log: Log): RpcHandler {
  const methods = new Map<string, MethodHandler>([
    ...libraryMethods(log),
    ['/process.Process/Start', createStreamHandler(start)],
    ['/process.Process/Connect', createStreamHandler(connect)],
    ['/filesystem.Filesystem/WatchDir', createStreamHandler(watchDir)],
  ])
  return (target, req, res, path) => {
    const handle = methods.get(path)
    if (handle === undefined) return false
    if (req.method === 'POST') handle(createRpcCall(target, log, { req, res }), req, res)
    else sendStatus(res, 405, 'RPCs are called with POST.', { allow: 'POST' })
    return true
  }
}

function libraryMethods(log: Log): [path: string, handle: MethodHandler][] {
  const router = createConnectRouter({
    grpc: false,
    grpcWeb: false,
    readMaxBytes: messageMaxBytes,
    acceptCompression: [gzip],
    interceptors: [clientFaults],
  })
  router.service(Process, processService)
  router.service(Filesystem, filesystemService)
  return router.handlers.map((handler) => [
    handler.requestPath,
    (call, req, res) => {
      if (!handler.supportedContentType(req.headers['content-type'] ?? '')) {
        sendStatus(res, 415, 'RPCs take the content types of the Connect protocol, as JSON or as protobuf.')
        return
      }
      const context = createContextValues().set(rpcCallKey, call)
      // The library tells HTTP/1.1 and HTTP/2 apart by itself, and its types have only one of the two at a time.
      const [nodeRequest, nodeResponse] = [req as IncomingMessage, res as ServerResponse]
      const request = universalRequestFromNodeRequest(nodeRequest, nodeResponse, undefined, context)
      if (isTimeoutHeader(req.headers['connect-timeout-ms'])) request.header.delete('connect-timeout-ms')
      // Most clients name gzip because they know it, not because they want it.
      if (chooseEncoding(req.headers['accept-encoding']) !== 'gzip') request.header.delete('accept-encoding')
      handler(request)
        .then(withClientFault)
        .then((response) => universalResponseToNodeResponse(response, nodeResponse))
        .catch((thrown) => {
          // The client has left, or the response is already complete.
          if (res.destroyed || ConnectError.from(thrown).code === Code.Aborted) return
          const error = toError(thrown)
          reportError(log, call.target, error)
          sendError(res, error)
        })
    },
  ])
}
