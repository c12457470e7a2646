import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

test('it is done while every environment is there, each made from its pins; what others need is made again alone', {
  timeout: 60_000,
}, async () => {
  const [requirements, folder] = [join(root, 'requirements'), join(root, 'python')]
  const files = { '1.0.0.txt': 'a==1', '2.0.0.txt': '# none', 'gone.txt': '' }
  for (const [name, pins] of Object.entries(files)) writeFileSync(join(requirements, name), pins)
  const uv = join(root, 'uv')
  const asked = join(uv, 'asked')
  mkdirSync(join(uv, 'bin'), { recursive: true })
  const program = (name, line) =>
    writeFileSync(join(uv, 'bin', name), `#!/bin/sh\n${line}\n`, { mode: 0o755 })
  program('python', `echo "global.index-url='https://mirror.test/simple'"`)
  program('uv', `echo "$UV_DEFAULT_INDEX $@" >> ${asked}`)
  const step = () => pythonSdksStep({ requirements, folder, uv })
  expect(await step().isDone()).toBe(false)
  // As made before, but for what the packages are.
  for (const version of ['1.0.0', '2.0.0', 'gone']) {
    mkdirSync(join(folder, version, 'bin'), { recursive: true })
    writeFileSync(join(folder, version, 'bin/python'), '')
    writeStamp(join(folder, version, 'pins.sha256'), hashFiles(requirements, [`${version}.txt`]))
  }
  expect(await step().isDone()).toBe(true)

  writeFileSync(join(requirements, '2.0.0.txt'), '# others')
  rmSync(join(requirements, 'gone.txt'))
  expect(await step().isDone()).toBe(false)
  await step().run(() => {})
  expect(await step().isDone()).toBe(true)
  expect(readdirSync(folder)).toEqual(['1.0.0', '2.0.0'])
  expect(readdirSync(join(folder, '1.0.0/bin'))).toEqual(['python'])
  expect(readdirSync(join(folder, '2.0.0/bin'))).toContain('python')
  const [line, ...others] = readFileSync(asked, 'utf8').trim().split('\n')
  expect(others).toEqual([])
  expect(line).toMatch(/^https:\/\/mirror\.test\/simple pip install --no-deps /)
  expect(line).toContain(`--python ${join(folder, '2.0.0/bin/python')} -r ${join(requirements, '2.0.0.txt')}`)

  rmSync(join(folder, '1.0.0/bin/python'))
  expect(await step().isDone()).toBe(false)
})
