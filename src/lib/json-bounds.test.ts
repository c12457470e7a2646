import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkJsonBounds, skipJsonSpace, skipJsonValue } from './json-bounds.ts'

const bounds = { membersMax: 10, depthMax: 4 }
const roomy = { membersMax: 1_000_000, depthMax: 1000 }

describe('the bounds', () => {
  it.each([
    '[]',
    '[1,2,3,4,5,6,7,8,9,10]',
    '[[[[]]]]',
    `"${'{,['.repeat(100)}"`,
    `["\\"${'{'.repeat(50)}\\"","${'x'.repeat(80)}\\"${'['.repeat(50)}"]`,
    `["${'\\\\'.repeat(80)}"]`,
  ])('let %s through', (text) => {
    expect(() => checkJsonBounds(Buffer.from(text), bounds)).not.toThrow()
  })

  it.each([
    ['members', '[1,2,3,4,5,6,7,8,9,10,11]'],
    ['members of members', '[{},{},{},{},{},{}]'],
    ['levels', '[[[[[]]]]]'],
    ['levels of objects', '{"a":{"a":{"a":{"a":{}}}}}'],
    ['members behind a byte order mark', '\ufeff[{},{},{},{},{},{}]'],
    ['members behind a value', '1 [{},{},{},{},{},{}]'],
    ['members behind escaped quotes', `["${'x'.repeat(100)}\\\\",${'{},'.repeat(10)}1]`],
  ])('refuse too many %s', (_, text) => {
    expect(() => checkJsonBounds(Buffer.from(text), bounds)).toThrow(RangeError)
  })

  it('find the end of every value', () => {
    const strings = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 60, maxLength: 200 }))
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        strings,
        fc.constantFrom('\\', '"', '\\"', '\\'.repeat(70), '"'.repeat(70)),
        fc.integer(),
        fc.constant(null),
        fc.array(tie('value')),
        fc.dictionary(strings, tie('value')),
      ),
    }))
    fc.assert(
      fc.property(value, fc.constantFrom('', ' ', ',', '}', ']'), fc.boolean(), (json, rest, isSpaced) => {
        const text = Buffer.from(JSON.stringify(json, undefined, isSpaced ? 1 : 0))
        expect(skipJsonValue(Buffer.concat([text, Buffer.from(rest)]), 0, roomy)).toBe(text.length)
      }),
    )
  })

  it('know a value that breaks off', () => {
    for (const text of ['[', '{"a":1', '"a', '"\\"', `"${'x'.repeat(100)}`, `"${'x'.repeat(100)}\\"`]) {
      expect(() => skipJsonValue(Buffer.from(text), 0, roomy)).toThrow(SyntaxError)
    }
    expect(skipJsonSpace(Buffer.from(' \n\t\r1'), 0)).toBe(4)
  })
})
