import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { connectionBounds, openFilesMax } from './descriptors.ts'

test('the limit is that of the process', () => {
  const script = `ulimit -n 300; exec cat /proc/self/limits`
  expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' })).toMatch(/Max open files +300 /)
  const here = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }))
  expect(openFilesMax()).toBe(here)
  expect(openFilesMax(2 ** 30)).toBe(1024)
})

test.each([64, 1024, 20_000, 1_048_576])('%d descriptors are never promised twice', (openFiles) => {
  const { clients, exchanges, sandbox, kept, api } = connectionBounds(openFiles)
  expect(clients + exchanges + kept + 2 * api).toBeLessThanOrEqual(openFiles * (7 / 8))
  expect(sandbox).toBeLessThanOrEqual(exchanges / 4)
  expect(Math.min(clients, exchanges, sandbox, kept, api)).toBeGreaterThan(0)
})
