/**
 * The server-streaming RPCs over node:http. They are ours because whole outputs of processes pass through here, and
 * because streams stand open by the hundreds: no iterator between agent and client, no message that isn't needed.
 */
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { drain } from '../drain.ts'
import { sendStatus } from '../respond.ts'
import { streamCodecOf } from './envelope.ts'
import { controlMaxBytes } from './message-body.ts'
import { checkTimeout, type RpcCall } from './rpc-call.ts'
import { readStreamRequest } from './stream-request.ts'
import { createStreamResponse, type StreamResponse } from './stream-response.ts'
import type { MethodHandler } from './unary-handler.ts'

/** One server-streaming RPC. */
export interface StreamMethod<Input extends DescMessage, Output extends DescMessage> {
  input: Input
  output: Output
  /** The longest request, in bytes; absent: that of messages that have hardly more than a path */
  maxBytes?: number
  /** What a stream says when it has had nothing to say for long */
  keepalive: MessageInitShape<Output>
  /** Sends what the request asks for, and returns when that is all. Errors: what the client is told at the end. */
  serve(call: RpcCall, request: MessageShape<Input>, response: StreamResponse<Output>): Promise<void>
}

export function createStreamHandler<Input extends DescMessage, Output extends DescMessage>(
  method: StreamMethod<Input, Output>,
): MethodHandler {
  const { input, output, keepalive, maxBytes = controlMaxBytes } = method
  return (call, req, res) => {
    const codec = streamCodecOf(req.headers['content-type'])
    if (codec === undefined) {
      sendStatus(res, 415, 'This RPC takes application/connect+json and application/connect+proto.')
      return
    }
    const { signal, keepaliveMs } = call
    const response = createStreamResponse({ res, codec, schema: output, signal, keepalive, keepaliveMs })
    const serve = async () => {
      checkTimeout(req.headers['connect-timeout-ms'])
      const request = await readStreamRequest(req, { call, schema: input, codec, maxBytes })
      call.account.close()
      // From here on silence has its own limits: keepalives, and a client that may read as slowly as it likes.
      res.setTimeout(0)
      await method.serve(call, request, response)
    }
    serve()
      .then(
        () => response.end(),
        (thrown) => response.end(call.toConnectError(thrown)),
      )
      .finally(() => {
        call.account.close()
        void drain(req)
      })
  }
}
