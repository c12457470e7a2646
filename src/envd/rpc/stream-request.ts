/** The request of a server-streaming RPC: one message in an envelope (e2b-wire 3.1). */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import type { HttpRequest } from '../../domain/http.ts'
import { decodeMessage } from './decode-message.ts'
import { type Codec, envelopeFlags, envelopeHeadBytes } from './envelope.ts'
import { decompress, parseCompression, readBody } from './message-body.ts'
import type { RpcCall } from './rpc-call.ts'

export interface StreamRequestOptions<Desc extends DescMessage> {
  call: RpcCall
  schema: Desc
  codec: Codec
  /** The longest message, in bytes */
  maxBytes: number
}

/**
 * Reads the message. Errors, as `ConnectError`: `invalid_argument` (no such message), `resource_exhausted` (too long),
 * `unimplemented` (none, several, an unknown compression), `canceled`; `resource_exhausted` (no room now).
 */
export async function readStreamRequest<Desc extends DescMessage>(
  req: HttpRequest,
  options: StreamRequestOptions<Desc>,
): Promise<MessageShape<Desc>> {
  const { call, maxBytes } = options
  const compression = parseCompression(req.headers['connect-content-encoding'])
  const { isCompressed, payload } = parseEnvelope(await readBody(req, call, envelopeHeadBytes + maxBytes))
  if (isCompressed) requireCompression(compression)
  return decodeMessage(isCompressed ? await decompress(payload, call, maxBytes) : payload, options)
}

/** Errors, as `ConnectError`: `invalid_argument` where a message is compressed in a stream that isn't. */
export function requireCompression(compression: 'identity' | 'gzip'): void {
  if (compression !== 'identity') return
  const reason = 'The message is compressed, but Connect-Content-Encoding is missing.'
  throw new ConnectError(reason, Code.InvalidArgument)
}

function parseEnvelope(body: Buffer): { isCompressed: boolean; payload: Buffer } {
  if (body.length === 0) throw new ConnectError('The stream has no message.', Code.Unimplemented)
  if (body.length < envelopeHeadBytes) throw brokenOff()
  const end = envelopeHeadBytes + body.readUInt32BE(1)
  if (body.length < end) throw brokenOff()
  if (body.length > end) {
    throw new ConnectError('The stream has more than one message.', Code.Unimplemented)
  }
  return { isCompressed: isCompressedBy(body.readUInt8(0)), payload: body.subarray(envelopeHeadBytes) }
}

/** Whether an envelope with those flags has a compressed message. Errors, as `ConnectError`: `invalid_argument`. */
export function isCompressedBy(flags: number): boolean {
  if ((flags & ~envelopeFlags.compressed) !== 0) {
    throw new ConnectError(`The envelope has unknown flags: ${flags}.`, Code.InvalidArgument)
  }
  return flags === envelopeFlags.compressed
}

export function brokenOff(): ConnectError {
  return new ConnectError('The message is shorter than its envelope says.', Code.InvalidArgument)
}
