import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ServerError } from '../domain/error.ts'
import { decodeListToken, encodeListToken } from './list-token.ts'

test('round trip, with the fraction that orders creations', () => {
  const position = { startedAt: 1_795_000_000_123.001, id: 'iabc' }
  expect(decodeListToken(encodeListToken(position))).toEqual(position)
})

test('anything else is refused with a typed error', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const { startedAt, id } = decodeListToken(text)
        expect(Number.isFinite(startedAt)).toBe(true)
        expect(id).toMatch(/^[a-z0-9_]+$/)
      } catch (error) {
        expect(error).toBeInstanceOf(ServerError)
      }
    }),
  )
})
