import { expect, test } from 'vitest'
import { readCargoResults, readVitestResults, requireAtLeast, skippedTests, summaryLine } from './results.mjs'

const result = (passed, failed, ignored) =>
  `test result: ${failed > 0 ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed; ${ignored} ignored; 0 measured`
const counts = ({ passed, failed, skipped }) => ({ passed, failed, skipped })

test('cargo’s result lines are added up', () => {
  const lines = ['running 3 tests', result(3, 0, 0), result(0, 0, 0), result(4, 0, 1)]
  expect(readCargoResults(lines, 0)).toEqual({ passed: 7, failed: 0, skipped: 1, failures: [] })
})

test('cargo’s failed tests are named, so that they can be run again', () => {
  const lines = [
    'test a::b ... ok',
    'test a::c ... FAILED',
    'test d - should panic ... FAILED',
    result(1, 2, 0),
  ]
  expect(readCargoResults(lines, 101)).toEqual({
    passed: 1,
    failed: 2,
    skipped: 0,
    failures: [
      { name: 'a::c', test: { name: 'a::c' } },
      { name: 'd', test: { name: 'd' } },
    ],
  })
  const unnamed = readCargoResults([result(2, 1, 0)], 101)
  expect(counts(unnamed)).toEqual({ passed: 2, failed: 1, skipped: 0 })
  expect(unnamed.failures[0].test).toBeUndefined()
})

test('what doesn’t compile, what has no tests and what leaves no results has failed by itself', () => {
  const silent = [
    readCargoResults([], 101),
    readCargoResults([result(0, 0, 0)], 0),
    readVitestResults(undefined, 1, '/r'),
    readVitestResults({ tests: [], errors: [] }, 0, '/r'),
  ]
  for (const results of silent) {
    expect(counts(results)).toEqual({ passed: 0, failed: 1, skipped: 0 })
    expect(results.failures).toEqual([{ name: expect.stringContaining('see its output') }])
  }
})

const passed = { file: '/r/x.test.ts', name: 'a', state: 'passed', text: '' }
const failed = {
  file: '/r/x.test.ts',
  name: 'b',
  state: 'failed',
  text: `why\n\n  at x${'\n  at y'.repeat(20)}`,
}
const skipped = { file: '/r/x.test.ts', name: 'c', state: 'skipped', text: '' }

test('vitest’s tests are counted, and those that failed are named with the beginning of what they say', () => {
  expect(readVitestResults({ tests: [passed, failed, skipped], errors: [] }, 1, '/r/')).toEqual({
    passed: 1,
    failed: 1,
    skipped: 1,
    failures: [
      {
        name: 'x.test.ts: b',
        text: `  why\n    at x${'\n    at y'.repeat(4)}`,
        test: { file: 'x.test.ts', name: 'b' },
      },
    ],
  })
})

test('what goes wrong outside of tests is a failure of its own, which no second run takes away', () => {
  const errors = [{ file: '/r/y.test.ts', text: 'not loaded' }, { text: 'a worker ended' }]
  const { failures, ...rest } = readVitestResults({ tests: [passed, failed], errors }, 1, '/r')
  expect(counts(rest)).toEqual({ passed: 1, failed: 3, skipped: 0 })
  expect(failures.filter(({ test }) => test === undefined)).toEqual([
    { name: 'y.test.ts', text: '  not loaded' },
    { name: 'outside of tests', text: '  a worker ended' },
  ])
})

test('a runner that fails without a word is a failure too', () => {
  expect(counts(readVitestResults({ tests: [passed], errors: [] }, 1, '/r'))).toEqual({
    passed: 1,
    failed: 1,
    skipped: 0,
  })
})

test('skipped tests are named with their files', () => {
  expect(skippedTests({ tests: [passed, skipped] })).toEqual(['/r/x.test.ts: c'])
  expect(skippedTests(undefined)).toEqual([])
})

test('the last line names skipped tests only if there are any', () => {
  expect(summaryLine({ passed: 5, failed: 0, skipped: 0 })).toBe('5 passed, 0 failed')
  expect(summaryLine({ passed: 5, failed: 1, skipped: 2 })).toBe('5 passed, 1 failed, 2 skipped')
})

test('a suite with too few tests fails, though each of them passes', () => {
  const none = { passed: 299, failed: 0, skipped: 0, failures: [] }
  const failure = { name: '299 tests, of which there must be at least 300' }
  expect(requireAtLeast(none, 300)).toEqual({ ...none, failed: 1, failures: [failure] })
  const one = { passed: 299, failed: 1, skipped: 0, failures: [{ name: 'a' }] }
  expect(requireAtLeast(one, 300)).toEqual(one)
})
