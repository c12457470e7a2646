import { expect, test } from 'vitest'
import { leastTaken, parseCpus } from './cpu-sets.ts'

test('a new sandbox gets the CPUs that fewest have, in order', () => {
  const online = [0, 1, 2, 5]
  expect(leastTaken(online, 2, [])).toEqual([0, 1])
  expect(leastTaken(online, 2, [[0, 1]])).toEqual([2, 5])
  expect(leastTaken(online, 2, [[0, 1], [2, 5], [5]])).toEqual([0, 1])
  expect(leastTaken(online, 3, [[0], [0], [1]])).toEqual([1, 2, 5])
  // One that is no longer there, or that another engine had, is not given out.
  expect(leastTaken([0, 1], 1, [[0], [9]])).toEqual([1])
})

test('lists of CPUs are read as the kernel writes them', () => {
  expect(parseCpus('0-2,5\n')).toEqual([0, 1, 2, 5])
  expect(parseCpus('')).toEqual([])
  expect(parseCpus('all,3-1,99999,7')).toEqual([7])
})
