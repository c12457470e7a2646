import { expect, test } from 'vitest'
import { createSuiteLog } from './suite-log.mjs'

test('a log is whole while it is short', () => {
  const log = createSuiteLog()
  log.say('a')
  log.say('')
  log.say('\u001b[32m b\u001b[39m')
  log.say('')
  expect(log.lines()).toEqual(['a', '', '\u001b[32m b\u001b[39m', ''])
  expect(log.last()).toBe('b')
})

test('of a long one the middle is left out, and it says so', () => {
  const log = createSuiteLog()
  for (let i = 0; i < 100_000; i++) log.say(`line ${i}`)
  const lines = log.lines()
  expect(lines.length).toBe(3001)
  expect(lines[0]).toBe('line 0')
  expect(lines[499]).toBe('line 499')
  expect(lines[500]).toBe('… 97000 lines are left out …')
  expect(lines[501]).toBe('line 97500')
  expect(lines.at(-1)).toBe('line 99999')
})

test('what is shown as it comes isn’t kept', () => {
  const shown = []
  const log = createSuiteLog({ show: (line) => shown.push(line) })
  log.say('a')
  expect(shown).toEqual(['a'])
  expect(log.lines()).toEqual([])
  expect(log.last()).toBe('a')
})
