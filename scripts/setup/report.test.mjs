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
  report.begin('node modules')
  report.progress('installing what package-lock.json names')
  report.progress(line, { isOutput: true })
  vi.advanceTimersByTime(30_000)
  report.end()
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
  report.begin('a')
  report.progress('one', { isOutput: true })
  report.progress('\x1b[31mtwo\x1b[0m\r')
  report.end()
  expect(lines.slice(1, 3)).toEqual(['setup: a: one', 'setup: a: two'])
})
