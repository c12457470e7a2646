import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

export interface ProtoBounds {
  /** Most fields at all levels, known or not */
  fieldsMax: number
  /** Most bytes of text in fields that are known; absent: as many as there are */
  textMaxBytes?: number | undefined
}

/**
 * Looks at a protobuf message before it is decoded: a field may have two bytes, and what becomes of it has hundreds; text
 * is decoded and copied, while bytes are not touched. Errors: `RangeError` where there is more, and what the reader throws
 * at bytes that are no message.
 */
export function checkProtoBounds(
  schema: DescMessage,
  bytes: Uint8Array,
  { fieldsMax, textMaxBytes = bytes.length }: ProtoBounds,
): void {
  const reader = new BinaryReader(bytes)
  let fields = 0
  let textBytes = 0

  function visit(message: DescMessage, end: number): void {
    while (reader.pos < end) {
      if (++fields > fieldsMax) throw new RangeError(`The message has more than ${fieldsMax} fields.`)
      const [number, wireType] = reader.tag()
      // Going over one takes a call for each level, and no version of protobuf that clients use has them.
      if (wireType === WireType.StartGroup) throw new RangeError('The message has a group.')
      const field = message.fields.find((known) => known.number === number)
      const inner = wireType === WireType.LengthDelimited ? messageIn(field) : undefined
      if (inner !== undefined) {
        const length = reader.uint32()
        visit(inner, reader.pos + length)
        continue
      }
      const before = reader.pos
      reader.skip(wireType, number)
      if (field === undefined || isBytes(field)) continue
      textBytes += reader.pos - before
      if (textBytes > textMaxBytes)
        throw new RangeError(`The message has more than ${textMaxBytes} bytes of text.`)
    }
  }

  visit(schema, bytes.length)
}

/** The message that is a field's value; undefined where it is something else. */
function messageIn(field: DescField | undefined): DescMessage | undefined {
  if (field?.fieldKind === 'message' || (field?.fieldKind === 'list' && field.listKind === 'message')) {
    return field.message
  }
  return undefined
}

function isBytes(field: DescField): boolean {
  return field.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES
}
