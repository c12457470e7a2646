import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { logLines } from './read-log.ts'
import { createReadable } from './readable.ts'
import { olderOf, RotatingFile } from './rotating-file.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e2b-log-'))
  path = join(folder, 'server.log')
})
afterEach(() => rmSync(folder, { recursive: true }))

async function all(lines: AsyncGenerator<string>): Promise<string[]> {
  const found = []
  for await (const line of lines) found.push(line)
  return found
}

test('the file is private, bounded together with the one before it, and goes on where it was', async () => {
  const first = new RotatingFile(path, 100)
  for (let i = 0; i < 30; i++) first.write(`line ${i}\n`)
  first.close()
  const second = new RotatingFile(path, 100)
  for (let i = 30; i < 50; i++) second.write(`line ${i}\n`)
  second.close()
  for (const file of [path, olderOf(path)]) {
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(file).size).toBeLessThanOrEqual(100)
  }
  const kept = await all(logLines(path, { count: 1000 }))
  expect(kept.length).toBeGreaterThan(11)
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => `line ${50 - kept.length + i}`))
})

test('a line longer than the file is written whole, and a folder that is gone costs lines only', () => {
  const file = new RotatingFile(path, 10)
  file.write('a line of more than ten bytes\n')
  expect(readFileSync(path, 'utf8')).toBe('a line of more than ten bytes\n')
  file.close()
  const nowhere = new RotatingFile(join(folder, 'none', 'server.log'), 10)
  nowhere.write('lost\n')
  nowhere.close()
})

test.each([
  [0, []],
  [1, ['three']],
  [3, ['one', 'two', 'three']],
  [9, ['zero', 'one', 'two', 'three']],
])('the last %i lines', async (count, lines) => {
  writeFileSync(olderOf(path), 'zero\n')
  writeFileSync(path, 'one\ntwo\nthree\n')
  expect(await all(logLines(path, { count }))).toEqual(lines)
})

test('followed: lines to come, over a rotation, whole ones only and in UTF-8', async () => {
  writeFileSync(path, 'old\nön')
  const over = new AbortController()
  const lines = logLines(path, { count: 1, follow: over.signal })
  const next = async () => (await lines.next()).value
  expect(await next()).toBe('old')
  const append = (text: string) => writeFileSync(path, text, { flag: 'a' })
  append('e\ntwo\n')
  expect(await next()).toBe('öne')
  expect(await next()).toBe('two')
  append('three\n')
  renameSync(path, olderOf(path))
  append('four\n')
  expect(await next()).toBe('three')
  expect(await next()).toBe('four')
  over.abort()
  expect(await lines.next()).toEqual({ value: undefined, done: true })
})

test('readable: time, level, sentence and fields on one line, a stack below it', async () => {
  const readable = await createReadable({ colors: false })
  const line = {
    level: 40,
    time: Date.UTC(2026, 0, 2, 12),
    pid: 1,
    hostname: 'h',
    msg: 'a thing',
    sandbox: 'i1',
  }
  expect(readable(JSON.stringify(line))).toMatch(
    /^\[2026-01-02 \d\d:00:00\.000\] WARN: a thing \{"sandbox":"i1"\}\n$/,
  )
  const err = { type: 'Error', message: 'broken', stack: 'Error: broken\n    at x.ts:1' }
  expect(readable(JSON.stringify({ ...line, err }))).toContain('Error: broken\n')
  expect(readable('torn {"level')).toBe('torn {"level\n')
})

test('readable: what a tenant said neither ends a line nor reaches the terminal as a command', async () => {
  const readable = await createReadable({ colors: false })
  const hostile = 'a\u001b[2J\u009b2J\r\n[2026-01-01] ERROR: forged\u2028x\u0007'
  const text = readable(
    JSON.stringify({
      level: 30,
      time: 1,
      msg: hostile,
      said: hostile,
      [hostile]: 1,
      err: { type: hostile, message: hostile, stack: hostile },
    }),
  )
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028]/)
  expect(text.split('\n')[0]).toContain('forged')
})
