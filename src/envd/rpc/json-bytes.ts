/**
 * JSON messages with long bytes. These are cut out of the text before it is parsed and decoded by Node's base64: parser
 * and general decoder take several times as long, and would hold up everybody for an input of some MiB.
 */
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf'
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import { skipJsonValue } from '../../lib/json-bounds.ts'

/** Shorter strings are left to the general decoder, in characters. */
const longMin = 4096

/** What stands in the text where bytes were cut out begins with this, and goes on with their number. */
const mark = '\0'

const quote = 0x22
const equals = 0x3d
/** How much base64 is decoded at once, in characters; a multiple of four. */
const pieceLength = 64 * 1024
const noMembers = { membersMax: 0, depthMax: 0 }

export interface CutJson {
  /** The text with a short string in the place of each piece */
  rest: Buffer
  pieces: Buffer[]
}

/**
 * Takes long base64 out of JSON, which is not looked at beyond that. Errors: `RangeError` where more than `restMaxBytes`
 * is left, `SyntaxError` where a string breaks off, or goes on for longer than that.
 */
export function cutLongBytes(text: Buffer, restMaxBytes: number): CutJson {
  const rest: Buffer[] = []
  const pieces: Buffer[] = []
  let restLength = 0
  const keep = (part: Buffer) => {
    restLength += part.length
    if (restLength > restMaxBytes) throw new RangeError(`more than ${restMaxBytes} bytes besides base64`)
    rest.push(part)
  }
  let at = 0
  while (at < text.length) {
    const open = text.indexOf(quote, at)
    if (open === -1) break
    if (open > at) keep(text.subarray(at, open))
    const close = text.indexOf(quote, open + 1)
    const piece = close - open > longMin ? decodeBase64(text, open + 1, close) : undefined
    if (piece !== undefined) {
      keep(Buffer.from(JSON.stringify(`${mark}${pieces.length}`)))
      pieces.push(piece)
      at = close + 1
      continue
    }
    // No further than may be kept: a string of escapes is gone through byte by byte.
    const near = text.subarray(0, open + restMaxBytes)
    at = close < near.length ? skipJsonValue(near, open, noMembers) : text.length
    keep(text.subarray(open, at))
  }
  keep(text.subarray(at))
  return { rest: Buffer.concat(rest), pieces }
}

/**
 * A message from its JSON with the pieces that were cut out of it; fields it doesn't know are dropped. Errors: what the
 * general decoder throws; `RangeError` where a piece is of text.
 */
export function fromCutJson<Desc extends DescMessage>(
  schema: Desc,
  json: JsonValue,
  pieces: readonly Buffer[],
): MessageShape<Desc> {
  if (pieces.length === 0) return fromJson(schema, json, { ignoreUnknownFields: true })
  const message = fromJson(schema, withoutMarks(schema, json), { ignoreUnknownFields: true })
  fill(reflect(schema, message, false), json, pieces)
  return message
}

function withoutMarks(schema: DescMessage, json: JsonValue): JsonValue {
  if (!isObject(json)) return json
  const rest = { ...json }
  for (const field of schema.fields) {
    for (const key of [field.jsonName, field.name]) {
      const value = json[key]
      if (value === undefined) continue
      if (field.fieldKind === 'message') rest[key] = withoutMarks(field.message, value)
      if (!isMark(value)) continue
      if (!isBytes(field))
        throw new RangeError(`${field.jsonName} has a text that is too long, or begins with a NUL.`)
      rest[key] = ''
    }
  }
  return rest
}

function fill(message: ReflectMessage, json: JsonValue, pieces: readonly Buffer[]): void {
  if (!isObject(json)) return
  for (const field of message.fields) {
    const value = json[field.jsonName] ?? json[field.name]
    if (value === undefined || !message.isSet(field)) continue
    if (field.fieldKind === 'message') fill(message.get(field), value, pieces)
    else if (isMark(value)) message.set(field, pieceOf(value, pieces))
  }
}

/** A client can write what looks like a mark. */
function pieceOf(value: string, pieces: readonly Buffer[]): Buffer {
  const piece = pieces[Number(value.slice(mark.length))]
  if (piece === undefined) throw new RangeError('The message has bytes that are no base64.')
  return piece
}

function isMark(value: JsonValue): value is string {
  return typeof value === 'string' && value.startsWith(mark)
}

function isBytes(field: DescField): boolean {
  return field.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/**
 * The bytes between two indexes, in the standard or the URL alphabet, padded or not, as protobuf's JSON has it; undefined:
 * it isn't base64. Piece by piece, as Node skips what it doesn't know, slowly: the first piece with any is the last.
 */
function decodeBase64(text: Buffer, start: number, end: number): Buffer | undefined {
  let until = end
  while (until > start && text[until - 1] === equals) until--
  const length = Math.floor(((until - start) * 3) / 4)
  const bytes = Buffer.allocUnsafe(length)
  let written = 0
  for (let at = start; at < until; at += pieceLength) {
    const piece = text.toString('latin1', at, Math.min(until, at + pieceLength))
    const expected = Math.floor((piece.length * 3) / 4)
    if (bytes.write(piece, written, 'base64') !== expected) return undefined
    written += expected
  }
  return bytes
}
