import { describe, expect, test } from 'vitest'
import { createDemand } from './warm-demand.ts'

const minute = 60_000

describe('as many are wanted', () => {
  test('as the busiest two seconds took', () => {
    const demand = createDemand({ isKept: false })
    for (const at of [0, 100, 1_999, 10_000, 11_000]) demand.note(at)
    expect(demand.wanted(12_000)).toBe(3)
  })

  test('as the busiest two seconds took that are less than five minutes ago', () => {
    const demand = createDemand({ isKept: false })
    for (const at of [0, 1, 2, minute, minute + 1]) demand.note(at)
    expect(demand.wanted(5 * minute - 1)).toBe(3)
    expect(demand.wanted(5 * minute + 3)).toBe(2)
    expect(demand.wanted(6 * minute + 2)).toBe(0)
  })

  test('none for what was asked for once', () => {
    const demand = createDemand({ isKept: false })
    demand.note(0)
    expect(demand.wanted(1)).toBe(0)
    demand.note(minute)
    expect(demand.wanted(minute)).toBe(1)
  })

  test('one of what is always kept', () => {
    const demand = createDemand({ isKept: true })
    expect(demand.wanted(0)).toBe(1)
    demand.note(0)
    demand.note(1)
    expect(demand.wanted(2)).toBe(2)
    expect(demand.wanted(minute * 10)).toBe(1)
  })
})
