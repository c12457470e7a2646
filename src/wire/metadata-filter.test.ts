import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ServerError } from '../domain/error.ts'
import { parseMetadataFilter } from './metadata-filter.ts'

/** What the SDKs put into the query, less the encoding that the HTTP framework undoes. */
function encodeAsSdk(metadata: Record<string, string>): string {
  const pairs = Object.entries(metadata).map(([key, value]) => [
    encodeURIComponent(key),
    encodeURIComponent(value),
  ])
  return new URLSearchParams(Object.fromEntries(pairs)).toString()
}

test('whatever an SDK encodes comes back', () => {
  const text = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(fc.dictionary(text, text, { noNullPrototype: true }), (metadata) => {
      expect(parseMetadataFilter(encodeAsSdk(metadata))).toEqual(metadata)
    }),
  )
})

test.each([
  ['user%3D1%26app%3Dx%2520y', { user: '1', app: 'x y' }],
  ['user=1&app=x', { user: '1', app: 'x' }],
  ['user=a+b', { user: 'a b' }],
  ['', {}],
])('%s, encoded as a whole or hardly, is split', (text, metadata) => {
  expect(parseMetadataFilter(text)).toEqual(metadata)
})

test('a broken encoding is refused', () => {
  expect(() => parseMetadataFilter('a=%25E0%25A4%25A')).toThrow(ServerError)
})
