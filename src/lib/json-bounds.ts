/**
 * Looks at JSON before it is parsed: what a text becomes in memory and time depends on how many members it has, not on
 * its length (4 MiB of `{},` are 1.4 million objects). One pass over the bytes, which keeps nothing.
 */

export interface JsonBounds {
  /** Most members of all its arrays and objects together, and arrays and objects that open */
  membersMax: number
  /** Deepest nesting */
  depthMax: number
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

/** Strings up to this length are gone through byte by byte, longer ones by a native search. */
const nearBytes = 64

/** Errors: `RangeError` where a text is beyond the bounds. One within them may still be no JSON. */
export function checkJsonBounds(text: Uint8Array, bounds: JsonBounds): void {
  scan(asBuffer(text), 0, bounds, true)
}

/**
 * The index behind the value that begins at `start`, which may only seem to be one. Errors: `RangeError` where it is
 * beyond the bounds, `SyntaxError` where it breaks off.
 */
export function skipJsonValue(text: Buffer, start: number, bounds: JsonBounds): number {
  const first = text[start]
  if (first === openBrace || first === openBracket) return scan(text, start, bounds, false)
  if (first === quote) return endOfString(text, start)
  let at = start
  while (at < text.length && !isDelimiter(text[at])) at++
  return at
}

/** The index of the first byte from `start` on that is no white space. */
export function skipJsonSpace(text: Uint8Array, start: number): number {
  let at = start
  while (isSpace(text[at])) at++
  return at
}

/** From `start` to the end of the text, or of the array or object that begins there. */
function scan(text: Buffer, start: number, { membersMax, depthMax }: JsonBounds, isWhole: boolean): number {
  let members = 0
  let depth = 0
  let at = start
  while (at < text.length) {
    const byte = text[at]
    if (byte === quote) {
      at = endOfString(text, at)
      continue
    }
    at++
    if (byte === comma || byte === openBrace || byte === openBracket) {
      if (++members > membersMax) throw new RangeError(`JSON with more than ${membersMax} members`)
      if (byte === comma) continue
      if (++depth > depthMax) throw new RangeError(`JSON with more than ${depthMax} levels`)
    } else if (byte === closeBrace || byte === closeBracket) {
      depth--
      if (depth === 0 && !isWhole) return at
    }
  }
  if (!isWhole) throw brokenOff()
  return at
}

/** The index behind the string whose first quote is at `open`. Errors: `SyntaxError` where it breaks off. */
function endOfString(text: Buffer, open: number): number {
  let at = open + 1
  for (const near = Math.min(text.length, at + nearBytes); at < near; at++) {
    const byte = text[at]
    if (byte === quote) return at + 1
    if (byte === backslash) at++
  }
  const next = text.indexOf(quote, at)
  if (next === -1) throw brokenOff()
  // Behind anything but a backslash it ends the string; there it depends on what is before.
  if (next === at || text[next - 1] !== backslash) return next + 1
  for (; at < text.length; at++) {
    const byte = text[at]
    if (byte === quote) return at + 1
    if (byte === backslash) at++
  }
  throw brokenOff()
}

function brokenOff(): SyntaxError {
  return new SyntaxError('JSON that breaks off')
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function isDelimiter(byte: number | undefined): boolean {
  return byte === comma || byte === closeBrace || byte === closeBracket || isSpace(byte)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
