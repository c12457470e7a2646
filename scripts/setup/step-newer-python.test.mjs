import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { newerPython, newerPythonStep } from './step-newer-python.mjs'
import { needsNewerPython } from './step-python-sdks.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

test('it is done where nothing needs it, or it is there', async () => {
  const folder = join(temporaryFolder(), 'python')
  const isDone = (needed) => newerPythonStep({ folder, isNeeded: async () => needed }).isDone()
  expect(await isDone(false)).toBe(true)
  expect(await isDone(true)).toBe(false)
  mkdirSync(dirname(newerPython(folder)), { recursive: true })
  writeFileSync(newerPython(folder), '')
  expect(await isDone(true)).toBe(true)
})

test('pins say which Python they need', async () => {
  const folder = temporaryFolder()
  const needs = (text) => {
    writeFileSync(join(folder, 'a.txt'), text)
    return needsNewerPython(folder)
  }
  expect(await needs('a==1\n')).toBe(false)
  expect(await needs('# Python 3.99\na==1\n')).toBe(true)
})
