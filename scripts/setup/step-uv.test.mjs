import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeStamp } from './stamp.mjs'
import { asVariables, uvStep } from './step-uv.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

test('it is done where nothing needs it, or that release is there', async () => {
  const folder = join(temporaryFolder(), 'uv')
  const isDone = (needed) =>
    uvStep({ folder, isNeeded: async () => needed, findPython: async () => undefined }).isDone()
  expect(await isDone(false)).toBe(true)
  expect(await isDone(true)).toBe(false)
  mkdirSync(join(folder, 'bin'), { recursive: true })
  writeFileSync(join(folder, 'bin', 'uv'), '')
  writeStamp(join(folder, 'release'), 'uv==0.0.1')
  expect(await isDone(true)).toBe(false)
})

test('what pip is told about indexes and trust, uv is told', () => {
  expect(asVariables([])).toEqual({})
  expect(
    asVariables([
      ":env:.index-url='https://mirror.test/simple'",
      ":env:.default-timeout='180'",
      "global.index-url='https://other.test/simple'",
      "global.extra-index-url='https://a.test https://b.test'",
      "install.find-links='\\n/wheels\\n/more'",
      "global.cert='/etc/ssl/own.pem'",
    ]),
  ).toEqual({
    UV_DEFAULT_INDEX: 'https://mirror.test/simple',
    UV_INDEX: 'https://a.test https://b.test',
    UV_FIND_LINKS: '/wheels,/more',
    SSL_CERT_FILE: '/etc/ssl/own.pem',
  })
})
