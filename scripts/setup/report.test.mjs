import { Writable } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createReport } from './report.mjs'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

/** A stream that isn't a terminal, and its lines. */
function page() {
  const lines = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(...String(chunk).split('\n').filter(Boolean))
      done()
    },
  })
  return { stream, lines }
}

/** The line that a report shows half a minute after a program printed something. */
function shownFor(line) {
  const { stream, lines } = page()
  const report = createReport({ stream, verbose: false })
  const step = report.begin('node modules')
  step.progress('installing what package-lock.json names')
  step.progress(line, { isOutput: true })
  vi.advanceTimersByTime(30_000)
  step.end()
  return lines[1]
}

test.each([
  ['  CC(target) Release/obj.target/sqlite3/gen/sqlite3/sqlite3.o', 'compiling SQLite'],
  ['npm http fetch GET 200 https://registry.example/ws 312ms', 'downloading packages'],
  ['   Compiling libc v0.2.174', 'compiling libc'],
  ['Setting up docker.io (20.10.24+dfsg1-1) ...', 'setting up docker.io'],
  ['Collecting httpx==0.28.1', 'downloading httpx'],
])('%s is told as %s', (line, words) => {
  expect(shownFor(line)).toContain(`setup: node modules: ${words}`)
})

test.each([
  'make: Entering directory build',
  'rm -rf ./Release/.deps',
  "sqlite3.c:1: warning: 'x' may be unused",
  '/usr/bin/ld: skipping',
])('%s is not shown', (line) => {
  expect(shownFor(line)).toMatch(
    /^setup: node modules: installing what package-lock\.json names \(30\.\d s\)$/,
  )
})

test('verbose: every line, as it is', () => {
  const { stream, lines } = page()
  const report = createReport({ stream, verbose: true })
  const step = report.begin('a')
  step.progress('one', { isOutput: true })
  step.progress('\x1b[31mtwo\x1b[0m\r')
  step.end()
  expect(lines.slice(1, 3)).toEqual(['setup: a: one', 'setup: a: two'])
})

test('of steps side by side, each tells what it does and how it ended', () => {
  const { stream, lines } = page()
  const report = createReport({ stream, verbose: false })
  const [a, b] = [report.begin('a'), report.begin('b')]
  a.progress('one')
  b.progress('two')
  vi.advanceTimersByTime(30_000)
  a.end()
  b.fail()
  vi.advanceTimersByTime(60_000)
  expect(lines.map((line) => line.replace(/ \(\d+\.\d s\)/, ''))).toEqual(
    ['a …', 'b …', 'a: one', 'b: two', 'a: done', 'b: failed'].map((text) => `setup: ${text}`),
  )
})
