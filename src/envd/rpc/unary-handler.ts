/**
 * The RPCs that answer once, over node:http (e2b-wire 3.1). They are ours as the streams are: limits fit each message,
 * and a list is sent as it comes, so that nobody's large directory is held or stops the others.
 */
import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf'
import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import { drain } from '../drain.ts'
import { sendStatus } from '../respond.ts'
import { decodeMessage } from './decode-message.ts'
import { type Codec, unaryCodecOf } from './envelope.ts'
import { controlMaxBytes, decompress, parseCompression, readBody } from './message-body.ts'
import { checkTimeout, type RpcCall } from './rpc-call.ts'
import { sendList } from './send-list.ts'
import { sendConnectError, sendReply, wantsGzip } from './unary-response.ts'

interface Reader<Input extends DescMessage> {
  input: Input
  /** The longest request, in bytes; absent: that of messages that have hardly more than a path */
  maxBytes?: number
  /** The most that a request with bytes may have besides those, in bytes */
  textMaxBytes?: number
}

/** An RPC whose answer is one small message. */
export interface UnaryMethod<Input extends DescMessage, Output extends DescMessage> extends Reader<Input> {
  output: Output
  /** Errors: what the client is told. */
  serve(call: RpcCall, request: MessageShape<Input>): Promise<MessageInitShape<Output>>
}

/** An RPC whose answer is one list, of any length. */
export interface ListMethod<Input extends DescMessage, Item extends DescMessage> extends Reader<Input> {
  item: Item
  /** The field of the answer that has the list, which is its only one */
  field: { number: number; name: string }
  /**
   * The list in batches, whose items are made as they are iterated over. Errors before the first items are sent: what the
   * client is told; later ones cut the answer.
   */
  serve(
    call: RpcCall,
    request: MessageShape<Input>,
  ):
    | AsyncIterable<Iterable<MessageInitShape<Item>>>
    | Promise<AsyncIterable<Iterable<MessageInitShape<Item>>>>
}

/** Answers one call of an RPC. */
export type MethodHandler = (call: RpcCall, req: HttpRequest, res: HttpResponse) => void

export function createUnaryHandler<Input extends DescMessage, Output extends DescMessage>(
  method: UnaryMethod<Input, Output>,
): MethodHandler {
  const { output } = method
  return createHandler(method, async ({ call, req, res, codec }, request) => {
    const reply = create(output, await method.serve(call, request))
    const bytes = codec === 'json' ? Buffer.from(toJsonString(output, reply)) : toBinary(output, reply)
    await sendReply(res, { codec, bytes, isGzip: wantsGzip(req) })
  })
}

export function createListHandler<Input extends DescMessage, Item extends DescMessage>(
  method: ListMethod<Input, Item>,
): MethodHandler {
  const { item, field } = method
  return createHandler(method, async ({ call, req, res, codec }, request) => {
    const batches = await method.serve(call, request)
    await sendList(batches, { call, res, codec, item, field, isGzip: wantsGzip(req) })
  })
}

interface Exchange {
  call: RpcCall
  req: HttpRequest
  res: HttpResponse
  codec: Codec
}

function createHandler<Input extends DescMessage>(
  { input, maxBytes = controlMaxBytes, textMaxBytes }: Reader<Input>,
  answer: (exchange: Exchange, request: MessageShape<Input>) => Promise<void>,
): MethodHandler {
  return (call, req, res) => {
    const codec = unaryCodecOf(req.headers['content-type'])
    if (codec === undefined) {
      sendStatus(res, 415, 'RPCs take the content types of the Connect protocol, as JSON or as protobuf.')
      return
    }
    const serve = async () => {
      checkTimeout(req.headers['connect-timeout-ms'])
      if (call.timeoutMs !== undefined) call.limit(call.timeoutMs)
      const compression = parseCompression(req.headers['content-encoding'])
      const body = await readBody(req, call, maxBytes)
      const bytes = compression === 'gzip' ? await decompress(body, call, maxBytes) : body
      const request = await decodeMessage(bytes, { call, schema: input, codec, textMaxBytes })
      await answer({ call, req, res, codec }, request)
    }
    serve()
      .catch((thrown) => sendConnectError(res, call.toConnectError(thrown)))
      .finally(() => {
        call.account.close()
        void drain(req)
      })
  }
}
