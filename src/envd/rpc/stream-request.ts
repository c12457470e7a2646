/** The request of a server-streaming RPC: one message in an envelope (e2b-wire 3.1). */
import { type DescMessage, fromBinary, fromJsonString, type MessageShape } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import type { HttpRequest } from '../../domain/http.ts'
import { type Codec, envelopeFlags, envelopeHeadBytes } from './envelope.ts'
import { gzip } from './gzip.ts'

/** The longest message, in bytes: more than the agent takes of any request. */
const messageMaxBytes = 16 * 1024 * 1024

/**
 * Reads the message; fields it doesn't know are ignored. Errors, as `ConnectError`: `invalid_argument` (no such
 * message), `resource_exhausted` (too long), `unimplemented` (none, several, an unknown compression), `canceled`.
 */
export async function readStreamRequest<Desc extends DescMessage>(
  req: HttpRequest,
  schema: Desc,
  codec: Codec,
): Promise<MessageShape<Desc>> {
  const encoding = req.headers['connect-content-encoding'] ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip') {
    throw new ConnectError('Messages can be compressed with gzip only.', Code.Unimplemented)
  }
  const { isCompressed, payload } = parseEnvelope(await readBody(req))
  if (isCompressed && encoding === 'identity') {
    const reason = 'The message is compressed, but Connect-Content-Encoding is missing.'
    throw new ConnectError(reason, Code.InvalidArgument)
  }
  const message = isCompressed ? await gzip.decompress(payload, messageMaxBytes) : payload
  try {
    return codec === 'json'
      ? fromJsonString(schema, new TextDecoder().decode(message), { ignoreUnknownFields: true })
      : fromBinary(schema, message)
  } catch (thrown) {
    throw ConnectError.from(thrown, Code.InvalidArgument)
  }
}

function readBody(req: HttpRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let isWhole = false
    const onData = (chunk: Buffer) => {
      length += chunk.length
      if (length <= envelopeHeadBytes + messageMaxBytes) return void chunks.push(chunk)
      req.off('data', onData)
      reject(new ConnectError(`The message is longer than ${messageMaxBytes} bytes.`, Code.ResourceExhausted))
    }
    req.on('data', onData)
    req.once('end', () => {
      isWhole = true
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))
    })
    req.once('close', () => {
      if (!isWhole) reject(new ConnectError('The request broke off.', Code.Canceled))
    })
  })
}

function parseEnvelope(body: Buffer): { isCompressed: boolean; payload: Buffer } {
  if (body.length === 0) throw new ConnectError('The stream has no message.', Code.Unimplemented)
  if (body.length < envelopeHeadBytes) throw brokenOff()
  const end = envelopeHeadBytes + body.readUInt32BE(1)
  if (body.length < end) throw brokenOff()
  if (body.length > end) {
    throw new ConnectError('The stream has more than one message.', Code.Unimplemented)
  }
  const flags = body.readUInt8(0)
  if ((flags & ~envelopeFlags.compressed) !== 0) {
    throw new ConnectError(`The envelope has unknown flags: ${flags}.`, Code.InvalidArgument)
  }
  return { isCompressed: flags === envelopeFlags.compressed, payload: body.subarray(envelopeHeadBytes) }
}

function brokenOff(): ConnectError {
  return new ConnectError('The message is shorter than its envelope says.', Code.InvalidArgument)
}
