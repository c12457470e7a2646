/**
 * Long bytes in JSON messages, decoded by Node's base64 rather than by the general decoder, which takes thirty times as
 * long and would hold up everybody for an input of some MiB.
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

/** Shorter strings are left to the general decoder, in characters. */
const longMin = 4096

/** A message from its JSON; fields it doesn't know are dropped. Errors: what the general decoder throws; `RangeError`. */
export function fromJsonWithBytes<Desc extends DescMessage>(
  schema: Desc,
  json: JsonValue,
): MessageShape<Desc> {
  const message = fromJson(schema, withoutLongBytes(schema, json), { ignoreUnknownFields: true })
  fill(reflect(schema, message, false), json)
  return message
}

function withoutLongBytes(schema: DescMessage, json: JsonValue): JsonValue {
  if (!isObject(json)) return json
  const rest = { ...json }
  for (const field of schema.fields) {
    for (const key of [field.jsonName, field.name]) {
      const value = json[key]
      if (value === undefined) continue
      if (isLongBytes(field, value)) rest[key] = ''
      else if (field.fieldKind === 'message') rest[key] = withoutLongBytes(field.message, value)
    }
  }
  return rest
}

function fill(message: ReflectMessage, json: JsonValue): void {
  if (!isObject(json)) return
  for (const field of message.fields) {
    const value = json[field.jsonName] ?? json[field.name]
    if (value === undefined || !message.isSet(field)) continue
    if (isLongBytes(field, value)) message.set(field, decodeBase64(value))
    else if (field.fieldKind === 'message') fill(message.get(field), value)
  }
}

function isLongBytes(field: DescField, value: JsonValue): value is string {
  const isBytes = field.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES
  return isBytes && typeof value === 'string' && value.length >= longMin
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** Standard or URL alphabet, padded or not, as protobuf's JSON has it. */
function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  let length = text.length
  while (length > 0 && text[length - 1] === '=') length--
  // What Node doesn't know it leaves out.
  if (bytes.length !== Math.floor((length * 3) / 4))
    throw new RangeError('The message has bytes that are no base64.')
  return bytes
}
