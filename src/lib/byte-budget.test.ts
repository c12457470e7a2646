import { expect, test } from 'vitest'
import { createByteBudget } from './byte-budget.ts'

test('a key has its share, all together have the whole, and what is given back is there again', () => {
  const budget = createByteBudget({ maxBytes: 100, keyMaxBytes: 60 })
  const [first, second, other] = [budget.open('a'), budget.open('a'), budget.open('b')]
  expect(first.raise(50)).toBe(true)
  expect(first.raise(20)).toBe(true)
  expect(second.raise(11)).toBe(false)
  expect(second.raise(10)).toBe(true)
  expect(other.raise(41)).toBe(false)
  expect(other.raise(40)).toBe(true)
  expect(budget.held()).toBe(100)
  first.close()
  first.close()
  expect(budget.held()).toBe(50)
  expect(first.raise(10)).toBe(true)
  expect(budget.held()).toBe(50)
  expect(second.raise(60)).toBe(true)
  second.close()
  other.close()
  expect(budget.held()).toBe(0)
})
