import { expect, test } from 'vitest'
import {
  cargoFailures,
  readCargoResults,
  readVitestResults,
  skippedTests,
  summaryLine,
  vitestFailures,
} from './results.mjs'

const result = (passed, failed, ignored) =>
  `test result: ${failed > 0 ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed; ${ignored} ignored; 0 measured`

test('cargo’s result lines are added up', () => {
  const lines = ['running 3 tests', result(3, 0, 0), result(0, 0, 0), result(4, 0, 1)]
  expect(readCargoResults(lines, 0)).toEqual({ passed: 7, failed: 0, skipped: 1 })
  expect(readCargoResults([result(2, 1, 0)], 101)).toEqual({ passed: 2, failed: 1, skipped: 0 })
})

test('what doesn’t compile and what has no tests has failed', () => {
  expect(readCargoResults([], 101)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  expect(readCargoResults([result(0, 0, 0)], 0)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  expect(readVitestResults(undefined, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 })
})

test('vitest’s report is read, and a file that can’t be loaded is a failure', () => {
  const report = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 1, numTodoTests: 1 }
  expect(readVitestResults(report, 0)).toEqual({ passed: 5, failed: 0, skipped: 2 })
  expect(readVitestResults(report, 1)).toEqual({ passed: 5, failed: 1, skipped: 2 })
})

test('skipped tests are named with their files', () => {
  const assertionResults = [
    { fullName: 'a', status: 'passed' },
    { fullName: 'b', status: 'skipped' },
    { fullName: 'c', status: 'todo' },
  ]
  expect(skippedTests({ testResults: [{ name: 'x.test.ts', assertionResults }] })).toEqual([
    'x.test.ts: b',
    'x.test.ts: c',
  ])
  expect(skippedTests(undefined)).toEqual([])
})

test('failures are named with the beginning of what they say', () => {
  expect(cargoFailures(['test a::b ... ok', 'test a::c ... FAILED'])).toEqual(['a::c'])
  const assertionResults = [
    { fullName: 'a', status: 'passed', failureMessages: [] },
    { fullName: 'b', status: 'failed', failureMessages: [`why\n\n  at x${'\n  at y'.repeat(20)}`] },
  ]
  const testResults = [
    { name: 'x.test.ts', message: '', assertionResults },
    { name: 'y.test.ts', message: 'not loaded', assertionResults: [] },
  ]
  expect(vitestFailures({ testResults })).toEqual([
    `x.test.ts: b\n  why\n    at x${'\n    at y'.repeat(4)}`,
    'y.test.ts\n  not loaded',
  ])
  expect(vitestFailures(undefined)).toEqual([])
})

test('the last line names skipped tests only if there are any', () => {
  expect(summaryLine({ passed: 5, failed: 0, skipped: 0 })).toBe('5 passed, 0 failed')
  expect(summaryLine({ passed: 5, failed: 1, skipped: 2 })).toBe('5 passed, 1 failed, 2 skipped')
})
