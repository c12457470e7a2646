import {
  type DescMessage,
  fromBinary,
  fromJsonString,
  type JsonValue,
  type MessageShape,
} from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { checkJsonBounds } from '../../lib/json-bounds.ts'
import type { Codec } from './envelope.ts'
import { fromJsonWithBytes } from './json-bytes.ts'
import { checkProtoBounds } from './proto-bounds.ts'
import type { RpcCall } from './rpc-call.ts'

/** What one message may be made of, at all levels: arguments and variables of a command, mostly. */
const membersMax = 20_000
const depthMax = 64

/** A message longer than this waits for its turn, in bytes: the others are decoded in less time than waiting takes. */
const quickMaxBytes = 16 * 1024

/**
 * Decodes a message; fields it doesn't know are dropped. Errors, as `ConnectError`: `invalid_argument`; those of
 * `RpcCall.turn`.
 */
export async function decodeMessage<Desc extends DescMessage>(
  bytes: Buffer,
  { call, schema, codec }: { call: RpcCall; schema: Desc; codec: Codec },
): Promise<MessageShape<Desc>> {
  if (bytes.length > quickMaxBytes) await call.turn()
  try {
    if (codec === 'json') {
      checkJsonBounds(bytes, { membersMax, depthMax })
      const text = new TextDecoder().decode(bytes)
      if (bytes.length > quickMaxBytes) return fromJsonWithBytes(schema, JSON.parse(text) as JsonValue)
      return fromJsonString(schema, text, { ignoreUnknownFields: true })
    }
    checkProtoBounds(schema, bytes, membersMax)
    return fromBinary(schema, bytes, { readUnknownFields: false })
  } catch (thrown) {
    throw ConnectError.from(thrown, Code.InvalidArgument)
  }
}
