import { attach } from '../../guest/attach.ts'
import { ConnectRequestSchema, ConnectResponseSchema } from '../../wire/gen/envd/process/process_pb.ts'
import type { StreamMethod } from '../rpc/stream-handler.ts'
import { follow, keepalive } from './follow.ts'
import { parseReplay, replayFromHeader, replayFromOf } from './replay.ts'
import { toSelector } from './selector.ts'

/**
 * Follows a process from now on, or with `E2b-Replay` from what the agent has kept of its output. The client's time
 * limit ends the stream only (e2b-wire 3.2).
 */
export const connect: StreamMethod<typeof ConnectRequestSchema, typeof ConnectResponseSchema> = {
  input: ConnectRequestSchema,
  output: ConnectResponseSchema,
  keepalive,
  async serve(call, request, response) {
    if (call.timeoutMs !== undefined) call.limit(call.timeoutMs)
    const replay = parseReplay(call.headers['e2b-replay'])
    const process = await attach(
      call.target.guest,
      { ...toSelector(request.process), ...replay },
      call.signal,
    )
    if (replay.replay) response.setHeader(replayFromHeader, String(replayFromOf(process)))
    await follow(process, response)
  },
}
