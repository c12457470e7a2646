import type { HandlerContext } from '@connectrpc/connect'
import { attach } from '../../guest/attach.ts'
import type { ConnectRequest } from '../../wire/gen/envd/process/process_pb.ts'
import { rpcCallOf } from '../rpc/rpc-call.ts'
import { follow } from './follow.ts'
import { toSelector } from './selector.ts'

/** Follows a process from now on. The client's time limit ends the stream only (e2b-wire 3.2). */
export function connect(request: ConnectRequest, context: HandlerContext): ReturnType<typeof follow> {
  const call = rpcCallOf(context)
  if (call.timeoutMs !== undefined) call.limit(call.timeoutMs)
  return follow(call, {
    open: async () => attach(call.target.guest, toSelector(request.process), call.signal),
  })
}
