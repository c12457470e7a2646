import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './paths.mjs'
import { modulesMatchLock } from './step-node-modules.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

/** A checkout with a lock and, if given, npm's record of what it installed. */
function checkout(wanted, installed) {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages: wanted }))
  if (installed !== undefined) {
    mkdirSync(join(folder, 'node_modules'))
    writeFileSync(join(folder, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: installed }))
  }
  return folder
}

const wanted = {
  '': { version: '0.1.0' },
  'node_modules/a': { version: '1.0.0' },
  'node_modules/b-win32': { version: '2.0.0', optional: true },
}

test('every package that isn’t optional must be there in the lock’s version', () => {
  expect(modulesMatchLock(checkout(wanted, { 'node_modules/a': { version: '1.0.0' } }))).toBe(true)
  expect(modulesMatchLock(checkout(wanted, { 'node_modules/a': { version: '1.0.1' } }))).toBe(false)
  expect(modulesMatchLock(checkout(wanted, {}))).toBe(false)
  expect(modulesMatchLock(checkout(wanted))).toBe(false)
})

test('this checkout’s own modules match', () => {
  expect(modulesMatchLock(root)).toBe(true)
})
