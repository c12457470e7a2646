/** The RPCs of envd by their paths, in the Connect protocol over node:http, JSON and binary (e2b-wire 3.1). */
import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import type { EnvdLog } from '../envd-log.ts'
import { filesystemMethods } from '../filesystem/service.ts'
import type { Load } from '../load.ts'
import { processMethods } from '../process/service.ts'
import { sendStatus } from '../respond.ts'
import type { EnvdTarget } from '../target.ts'
import { createRpcCall } from './rpc-call.ts'

/** Answers the request if its path is one of an RPC, and says whether it is. */
export type RpcHandler = (target: EnvdTarget, req: HttpRequest, res: HttpResponse, path: string) => boolean

export function createRpcHandler(log: EnvdLog, load: Load): RpcHandler {
  const methods = new Map([...Object.entries(processMethods), ...Object.entries(filesystemMethods)])
  return (target, req, res, path) => {
    const handle = methods.get(path)
    if (handle === undefined) return false
    if (req.method === 'POST') handle(createRpcCall(target, { log, load }, { req, res }), req, res)
    else sendStatus(res, 405, 'RPCs are called with POST.', { allow: 'POST' })
    return true
  }
}
