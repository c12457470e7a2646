/** The RPCs to which the client streams, and which answer once, over node:http (e2b-wire 3.1). */
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import type { HttpRequest } from '../../domain/http.ts'
import { drain } from '../drain.ts'
import { tooMuchAtOnce } from '../load.ts'
import { sendStatus } from '../respond.ts'
import { type DecodeOptions, decodeMessage } from './decode-message.ts'
import { envelopeHeadBytes, streamCodecOf } from './envelope.ts'
import { decompress, parseCompression, tooLong } from './message-body.ts'
import { checkTimeout, type RpcCall } from './rpc-call.ts'
import { brokenOff, isCompressedBy, requireCompression } from './stream-request.ts'
import { createStreamResponse } from './stream-response.ts'
import type { MethodHandler } from './unary-handler.ts'

/** One client-streaming RPC. */
export interface InputStreamMethod<Input extends DescMessage, Output extends DescMessage> {
  input: Input
  output: Output
  /** The longest message, in bytes */
  maxBytes: number
  /** The most that one may have besides bytes, in bytes */
  textMaxBytes: number
  /** Takes messages at its own pace. Errors: what the client is told at the end. */
  serve(call: RpcCall, requests: AsyncIterable<MessageShape<Input>>): Promise<MessageInitShape<Output>>
}

export function createInputStreamHandler<Input extends DescMessage, Output extends DescMessage>({
  input,
  output,
  maxBytes,
  textMaxBytes,
  serve,
}: InputStreamMethod<Input, Output>): MethodHandler {
  return (call, req, res) => {
    const codec = streamCodecOf(req.headers['content-type'])
    if (codec === undefined) {
      sendStatus(res, 415, 'This RPC takes application/connect+json and application/connect+proto.')
      return
    }
    const { signal, keepaliveMs } = call
    const response = createStreamResponse({ res, codec, schema: output, signal, keepaliveMs })
    const run = async () => {
      checkTimeout(req.headers['connect-timeout-ms'])
      if (call.timeoutMs !== undefined) call.limit(call.timeoutMs)
      const requests = readMessages(req, { call, schema: input, codec, maxBytes, textMaxBytes })
      response.send(await serve(call, requests))
    }
    run()
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

interface ReadOptions<Desc extends DescMessage> extends DecodeOptions<Desc> {
  call: RpcCall
  maxBytes: number
}

/** The messages of a stream, read no further than they are asked for. Leaves the request open. */
async function* readMessages<Desc extends DescMessage>(
  req: HttpRequest,
  { maxBytes, ...options }: ReadOptions<Desc>,
): AsyncGenerator<MessageShape<Desc>, void> {
  const { call } = options
  const compression = parseCompression(req.headers['connect-content-encoding'])
  const source = createByteSource(req, call)
  for (;;) {
    const head = await source.take(envelopeHeadBytes)
    if (head === undefined) return
    const isCompressed = isCompressedBy(head.readUInt8(0))
    if (isCompressed) requireCompression(compression)
    const length = head.readUInt32BE(1)
    if (length > maxBytes) throw tooLong(maxBytes)
    const payload = length === 0 ? Buffer.alloc(0) : await source.take(length)
    if (payload === undefined) throw brokenOff()
    const bytes = isCompressed ? await decompress(payload, call, maxBytes) : payload
    yield await decodeMessage(bytes, options)
  }
}

interface ByteSource {
  /** That many bytes, at least one; undefined at the end of the body. Errors: `ConnectError`s, `resource_exhausted`. */
  take(length: number): Promise<Buffer | undefined>
}

function createByteSource(req: HttpRequest, call: RpcCall): ByteSource {
  const chunks = req.iterator({ destroyOnReturn: false })
  /** What has come and not been taken */
  let rest: Buffer[] = []
  let restLength = 0

  async function pull(): Promise<boolean> {
    try {
      const { done, value } = await chunks.next()
      if (done) return false
      rest.push(value)
      restLength += value.length
    } catch (thrown) {
      throw new ConnectError('The request broke off.', Code.Canceled, undefined, undefined, thrown)
    }
    if (!call.account.raise(restLength)) throw tooMuchAtOnce()
    return true
  }

  return {
    async take(length) {
      while (restLength < length) {
        if (await pull()) continue
        if (restLength > 0) throw brokenOff()
        return undefined
      }
      const [first] = rest
      const whole = rest.length === 1 && first !== undefined ? first : Buffer.concat(rest, restLength)
      restLength -= length
      rest = restLength === 0 ? [] : [whole.subarray(length)]
      return whole.subarray(0, length)
    },
  }
}
