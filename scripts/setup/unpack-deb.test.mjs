import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from './temporary-folder.mjs'
import { unpackDeb } from './unpack-deb.mjs'

/** A package with one file. */
function newPackage(folder) {
  const source = join(folder, 'source')
  mkdirSync(join(source, 'DEBIAN'), { recursive: true })
  const control = [
    'Package: some',
    'Version: 1',
    'Architecture: all',
    'Maintainer: x <x@y>',
    'Description: x',
  ]
  writeFileSync(join(source, 'DEBIAN', 'control'), `${control.join('\n')}\n`)
  mkdirSync(join(source, 'usr', 'bin'), { recursive: true })
  writeFileSync(join(source, 'usr', 'bin', 'some'), 'a program')
  const file = join(folder, 'some.deb')
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '-b', source, file], { stdio: 'ignore' })
  return file
}

test.each(['dpkg-deb', 'no-such-program'])('a package is unpacked where there is %s', async (program) => {
  const folder = temporaryFolder()
  await unpackDeb(newPackage(folder), join(folder, 'root'), { program })
  expect(readFileSync(join(folder, 'root', 'usr', 'bin', 'some'), 'utf8')).toBe('a program')
})

test('what is no package is refused', async () => {
  const folder = temporaryFolder()
  const file = join(folder, 'none.deb')
  const unpack = () => unpackDeb(file, join(folder, 'root'), { program: 'no-such-program' })
  writeFileSync(file, '<html>')
  await expect(unpack()).rejects.toThrow('not in the form')
  writeFileSync(file, `!<arch>\n${'x'.repeat(200)}`)
  await expect(unpack()).rejects.toThrow('no files')
})
