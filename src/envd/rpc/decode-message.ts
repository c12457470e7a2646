import { type DescMessage, fromBinary, type JsonValue, type MessageShape } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { checkJsonBounds } from '../../lib/json-bounds.ts'
import type { Codec } from './envelope.ts'
import { cutLongBytes, fromCutJson } from './json-bytes.ts'
import { checkProtoBounds } from './proto-bounds.ts'
import type { RpcCall } from './rpc-call.ts'

/** What one message may be made of, at all levels: arguments and variables of a command, mostly. */
const membersMax = 5_000
const depthMax = 64

/** A message longer than this waits for its turn, in bytes: the others are decoded in less time than waiting takes. */
const quickMaxBytes = 16 * 1024

export interface DecodeOptions<Desc extends DescMessage> {
  call: Pick<RpcCall, 'turn'>
  schema: Desc
  codec: Codec
  /** The most that a message with a field of bytes may have besides those, in bytes; absent: it has no such field */
  textMaxBytes?: number | undefined
}

/**
 * Decodes a message; fields it doesn't know are dropped. A long one takes several turns of the event loop, and leaves its
 * caller one of its own. Errors, as `ConnectError`: `invalid_argument`; those of `RpcCall.turn`.
 */
export async function decodeMessage<Desc extends DescMessage>(
  bytes: Buffer,
  options: DecodeOptions<Desc>,
): Promise<MessageShape<Desc>> {
  const { call, schema, codec, textMaxBytes } = options
  const turn = async () => {
    if (bytes.length > quickMaxBytes) await call.turn()
  }
  await turn()
  let message: MessageShape<Desc>
  if (codec === 'json') {
    const { json, pieces } = refusing(() => parse(bytes, textMaxBytes))
    await turn()
    message = refusing(() => fromCutJson(schema, json, pieces))
  } else {
    message = refusing(() => {
      checkProtoBounds(schema, bytes, { fieldsMax: membersMax, textMaxBytes })
      return fromBinary(schema, bytes, { readUnknownFields: false })
    })
  }
  await turn()
  return message
}

function parse(
  bytes: Buffer,
  textMaxBytes: number | undefined,
): { json: JsonValue; pieces: readonly Buffer[] } {
  const { rest, pieces } =
    textMaxBytes === undefined ? { rest: bytes, pieces: [] } : cutLongBytes(bytes, textMaxBytes)
  checkJsonBounds(rest, { membersMax, depthMax })
  return { json: JSON.parse(new TextDecoder().decode(rest)) as JsonValue, pieces }
}

function refusing<Result>(step: () => Result): Result {
  try {
    return step()
  } catch (thrown) {
    throw ConnectError.from(thrown, Code.InvalidArgument)
  }
}
