import { expect, test } from 'vitest'
import { createTokenBucket } from './token-bucket.ts'

test('gives a second’s worth at once, then one after another', () => {
  const bucket = createTokenBucket()
  expect([1, 2, 3].map(() => bucket.take(1_000, 3))).toEqual([0, 0, 0])
  expect(bucket.take(1_000, 3)).toBeCloseTo(1 / 3)
  expect(bucket.take(1_334, 3)).toBe(0)
  expect(bucket.take(1_334, 3)).toBeCloseTo(1 / 3, 2)
  expect(bucket.isFull(1_334)).toBe(false)
  expect(bucket.isFull(60_000)).toBe(true)
})

test('rates below one give one at a time', () => {
  const bucket = createTokenBucket()
  expect(bucket.take(0, 0.1)).toBe(0)
  expect(bucket.take(0, 0.1)).toBeCloseTo(10)
  expect(bucket.take(9_000, 0.1)).toBeCloseTo(1)
  expect(bucket.take(10_000, 0.1)).toBe(0)
})

test('what was given back can be taken again, and no more than there is room for', () => {
  const bucket = createTokenBucket()
  bucket.take(0, 1)
  bucket.refund()
  bucket.refund()
  expect(bucket.take(0, 1)).toBe(0)
  expect(bucket.take(0, 1)).toBeGreaterThan(0)
})

test('a clock that goes back gives nothing', () => {
  const bucket = createTokenBucket()
  bucket.take(10_000, 1)
  expect(bucket.take(5_000, 1)).toBeCloseTo(1)
  expect(bucket.take(6_000, 1)).toBe(0)
})

test('a lower rate counts at once', () => {
  const bucket = createTokenBucket()
  bucket.take(0, 100)
  expect(bucket.take(0, 1)).toBe(0)
  expect(bucket.take(0, 1)).toBeCloseTo(1)
})
