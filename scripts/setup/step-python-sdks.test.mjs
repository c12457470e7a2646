import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { hashFiles, writeStamp } from './stamp.mjs'
import { pythonSdksStep, versionsIn } from './step-python-sdks.mjs'

let root
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'e2b-python-sdks-'))
  mkdirSync(join(root, 'requirements'))
})
afterEach(() => rmSync(root, { recursive: true }))

test('releases are named by their pins, in the order of their versions', () => {
  for (const name of ['2.63.0.txt', '2.7.1.txt', 'README.md', '2.20.3.txt']) {
    writeFileSync(join(root, 'requirements', name), '')
  }
  expect(versionsIn(join(root, 'requirements'))).toEqual(['2.7.1', '2.20.3', '2.63.0'])
})

test('it is done while every environment is there and the pins are those that it was made from', async () => {
  const requirements = join(root, 'requirements')
  writeFileSync(join(requirements, '1.0.0.txt'), 'a==1')
  const stamp = join(root, 'stamp')
  const step = pythonSdksStep({ requirements, folder: join(root, 'python'), stamp })
  expect(await step.isDone()).toBe(false)

  mkdirSync(join(root, 'python/1.0.0/bin'), { recursive: true })
  writeFileSync(join(root, 'python/1.0.0/bin/python'), '')
  writeStamp(stamp, hashFiles(requirements, ['.']))
  expect(await step.isDone()).toBe(true)

  writeFileSync(join(requirements, '1.0.0.txt'), 'a==2')
  expect(await step.isDone()).toBe(false)
  writeFileSync(join(requirements, '1.0.0.txt'), 'a==1')
  rmSync(join(root, 'python/1.0.0/bin/python'))
  expect(await step.isDone()).toBe(false)
})
