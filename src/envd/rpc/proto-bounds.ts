import type { DescMessage } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/**
 * Looks at a protobuf message before it is decoded: a field may have two bytes, and what becomes of it has hundreds.
 * Counts the fields at all levels, known or not. Errors: `RangeError` where there are more than `fieldsMax`, and what the
 * reader throws at bytes that are no message.
 */
export function checkProtoBounds(schema: DescMessage, bytes: Uint8Array, fieldsMax: number): void {
  const reader = new BinaryReader(bytes)
  let fields = 0

  function visit(message: DescMessage, end: number): void {
    while (reader.pos < end) {
      if (++fields > fieldsMax) throw new RangeError(`The message has more than ${fieldsMax} fields.`)
      const [number, wireType] = reader.tag()
      // Going over one takes a call for each level, and no version of protobuf that clients use has them.
      if (wireType === WireType.StartGroup) throw new RangeError('The message has a group.')
      const inner = wireType === WireType.LengthDelimited ? messageIn(message, number) : undefined
      if (inner === undefined) {
        reader.skip(wireType, number)
      } else {
        const length = reader.uint32()
        visit(inner, reader.pos + length)
      }
    }
  }

  visit(schema, bytes.length)
}

/** The message that is a field's value; undefined where it is something else. */
function messageIn(message: DescMessage, number: number): DescMessage | undefined {
  const field = message.fields.find((known) => known.number === number)
  if (field?.fieldKind === 'message' || (field?.fieldKind === 'list' && field.listKind === 'message')) {
    return field.message
  }
  return undefined
}
