import { expect, test } from 'vitest'
import { generateApiKey, hashApiKey, isApiKeyShaped, maskApiKey } from './api-key.ts'

test('a generated key has the shape that clients check, and is new each time', () => {
  const keys = Array.from({ length: 50 }, generateApiKey)
  for (const key of keys) {
    expect(key).toMatch(/^e2b_[0-9a-f]{40}$/)
    expect(isApiKeyShaped(key)).toBe(true)
  }
  expect(new Set(keys).size).toBe(keys.length)
})

test('a hash is SHA-256 in lower-case hex', () => {
  expect(hashApiKey('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

test('a mask shows six characters at the start and four at the end', () => {
  expect(maskApiKey(`e2b_12${'0'.repeat(34)}89ab`)).toBe('e2b_12…89ab')
})

test.each([
  '',
  'e2b_',
  `e2b_${'0'.repeat(39)}`,
  `e2b_${'0'.repeat(41)}`,
  `e2b_${'A'.repeat(40)}`,
  `e2b_${'g'.repeat(40)}`,
  `E2B_${'0'.repeat(40)}`,
  ` e2b_${'0'.repeat(40)}`,
  `e2b_${'0'.repeat(40)}\n`,
])('%j is not shaped as a key', (text) => {
  expect(isApiKeyShaped(text)).toBe(false)
})
