import { decode, type Packet } from 'dns-packet'
import type { Forwarder, Via } from './forwarder.ts'
import { answerFromZone, isInZone, respond, type Zone } from './zone.ts'

/** The longest query, in bytes: far more than one question and its options take. */
export const queryMaxBytes = 4096
const headerBytes = 12

const formatError = 1
const serverFailure = 2
const notImplemented = 4

/**
 * The response to a query, whatever its bytes; undefined where there must be none: what isn't a query may be the answer
 * to one, and an answer to that the beginning of an endless exchange. Never rejects.
 */
export async function answerQuery(
  bytes: Buffer,
  via: Via,
  { zone, forwarder }: { zone: Zone; forwarder: Forwarder },
): Promise<Buffer | undefined> {
  if (bytes.length < headerBytes || bytes.length > queryMaxBytes) return undefined
  const isResponse = (bytes[2]! & 0x80) !== 0
  if (isResponse) return undefined
  const opcode = (bytes[2]! >> 3) & 0xf
  const bare: Packet = { id: bytes.readUInt16BE(), flags: bytes.readUInt16BE(2) }
  if (opcode !== 0) return respond(bare, { flags: notImplemented })
  let query: Packet
  try {
    query = decode(bytes)
  } catch {
    return respond(bare, { flags: formatError })
  }
  const [question] = query.questions ?? []
  if (question === undefined || query.questions!.length !== 1) return respond(bare, { flags: formatError })
  try {
    if (isInZone(zone, question)) return answerFromZone(zone, query)
    return (await forwarder.forward(bytes, via)) ?? respond(query, { flags: serverFailure })
  } catch {
    // A name that can be read and not be written.
    return respond(bare, { flags: formatError })
  }
}
