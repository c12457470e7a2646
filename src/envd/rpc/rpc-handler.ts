/**
 * The Connect protocol over node:http, JSON and binary (e2b-wire 3.1). The Connect library does the protocol; time
 * limits are ours, because the library's own timer would end `Start` before the guest can, takes 0 for "at once" and
 * doesn't measure more than 24 days.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Code, ConnectError, createConnectRouter, createContextValues } from '@connectrpc/connect'
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from '@connectrpc/connect-node'
import { toError } from '../../domain/error.ts'
import type { Log } from '../../lib/log.ts'
import { Filesystem } from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import { Process } from '../../wire/gen/envd/process/process_pb.ts'
import { filesystemService } from '../filesystem/service.ts'
import { processService } from '../process/service.ts'
import { reportError } from '../report-error.ts'
import { sendError, sendStatus } from '../respond.ts'
import type { EnvdTarget } from '../target.ts'
import { createRpcCall, isTimeoutHeader, rpcCallKey } from './rpc-call.ts'

/** The longest message a client may send, in bytes. */
const messageMaxBytes = 64 * 1024 * 1024

/** Answers the request if its path is one of an RPC, and says whether it is. */
export type RpcHandler = (
  target: EnvdTarget,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
) => boolean

export function createRpcHandler(log: Log): RpcHandler {
  const router = createConnectRouter({ grpc: false, grpcWeb: false, readMaxBytes: messageMaxBytes })
  router.service(Process, processService)
  router.service(Filesystem, filesystemService)
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]))

  return (target, req, res, path) => {
    const handler = handlers.get(path)
    if (handler === undefined) return false
    if (req.method !== 'POST') {
      sendStatus(res, 405, 'RPCs are called with POST.', { allow: 'POST' })
      return true
    }
    if (!handler.supportedContentType(req.headers['content-type'] ?? '')) {
      sendStatus(res, 415, 'RPCs take the content types of the Connect protocol, as JSON or as protobuf.')
      return true
    }
    const call = createRpcCall(target, log, { req, res })
    const context = createContextValues().set(rpcCallKey, call)
    const request = universalRequestFromNodeRequest(req, res, undefined, context)
    if (isTimeoutHeader(req.headers['connect-timeout-ms'])) request.header.delete('connect-timeout-ms')
    handler(request)
      .then((response) => universalResponseToNodeResponse(response, res))
      .catch((thrown) => {
        // The client has left, or the response is already complete.
        if (res.destroyed || ConnectError.from(thrown).code === Code.Aborted) return
        const error = toError(thrown)
        reportError(log, target, error)
        sendError(res, error)
      })
    return true
  }
}
