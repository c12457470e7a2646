/**
 * The elements of an array in a JSON object that an agent sent, one at a time: a frame of a million elements costs
 * nothing before they are asked for, and whoever stops at a bad one has paid for those before it only.
 */
import { skipJsonSpace, skipJsonValue } from '../lib/json-bounds.ts'
import { type Fields, jsonBounds, parseFields } from './fields.ts'
import { protocolViolation } from './frames.ts'

/** Most fields before the array; an honest agent sends none. */
const otherFieldsMax = 16
/** Longest name of a field that is compared, in bytes: all of the protocol's are shorter. */
const nameMaxBytes = 64

/**
 * Yields the objects in `payload`'s array `name`. Errors, while iterating: `internal` for a violation of the protocol,
 * as is one element that isn't an object or is beyond the bounds of `parseFields`.
 */
export function* elementsOf(payload: Buffer, name: string): Generator<Fields, void> {
  const array = findArray(payload, name)
  for (let at = skipJsonSpace(payload, array + 1); payload[at] !== closeBracket; ) {
    const end = skipValue(payload, at)
    yield parseFields(payload.subarray(at, end), `${name}[]`)
    at = skipJsonSpace(payload, end)
    if (payload[at] === comma) at = skipJsonSpace(payload, at + 1)
    else if (payload[at] !== closeBracket) throw notJson()
  }
}

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b

/** Where the array begins. What is before it is skipped unread, what is behind it isn't looked at. */
function findArray(payload: Buffer, name: string): number {
  let at = skipJsonSpace(payload, 0)
  if (payload[at] !== openBrace) throw protocolViolation('payload is not an object')
  for (let fields = 0; fields <= otherFieldsMax; fields++) {
    at = skipJsonSpace(payload, at + 1)
    if (payload[at] !== quote) break
    const end = skipValue(payload, at)
    const isWanted = isName(payload.subarray(at, end), name)
    at = skipJsonSpace(payload, end)
    if (payload[at] !== colon) throw notJson()
    at = skipJsonSpace(payload, at + 1)
    if (isWanted) {
      if (payload[at] === openBracket) return at
      break
    }
    at = skipJsonSpace(payload, skipValue(payload, at))
    if (payload[at] !== comma) break
  }
  throw protocolViolation(`payload.${name} is not an array`)
}

function isName(text: Buffer, name: string): boolean {
  return text.length <= nameMaxBytes && text.toString('utf8') === `"${name}"`
}

function skipValue(payload: Buffer, at: number): number {
  let end: number
  try {
    end = skipJsonValue(payload, at, jsonBounds)
  } catch (thrown) {
    throw protocolViolation(String(thrown))
  }
  if (end === at) throw notJson()
  return end
}

function notJson() {
  return protocolViolation('payload that is not JSON')
}
