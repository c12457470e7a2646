import { expect, test } from 'vitest'
import { systemClock } from './clock.ts'

test('readings strictly increase', () => {
  const clock = systemClock()
  const readings = Array.from({ length: 1000 }, () => clock.now())
  const wall = Date.now()
  for (let i = 1; i < readings.length; i++) expect(readings[i]!).toBeGreaterThan(readings[i - 1]!)
  expect(Math.abs(readings[999]! - wall)).toBeLessThan(500)
})
