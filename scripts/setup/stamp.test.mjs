import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hashFiles, readStamp, writeStamp } from './stamp.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

function tree(files) {
  const root = temporaryFolder()
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true })
    writeFileSync(join(root, name), content)
  }
  return root
}

test('equal trees have equal hashes, whatever their place and times', () => {
  const files = { 'src/a.rs': 'one', 'src/deep/b.rs': 'two', 'Cargo.toml': 'x' }
  const first = tree(files)
  const second = tree(files)
  utimesSync(join(second, 'Cargo.toml'), 1, 1)
  expect(hashFiles(first, ['src', 'Cargo.toml'])).toBe(hashFiles(second, ['src', 'Cargo.toml']))
})

test('contents, names and boundaries between files count', () => {
  const hashes = [
    { 'src/a': 'one' },
    { 'src/a': 'One' },
    { 'src/b': 'one' },
    { 'src/a': 'one', 'src/b': '' },
    { 'src/a': '', 'src/b': 'one' },
  ].map((files) => hashFiles(tree(files), ['src']))
  expect(new Set(hashes).size).toBe(hashes.length)
})

test('skipped files and absent entries change nothing', () => {
  const bare = hashFiles(tree({ 'src/a.ts': 'one' }), ['src'])
  const full = tree({ 'src/a.ts': 'one', 'src/a.test.ts': 'two' })
  expect(hashFiles(full, ['src', 'nowhere'], (path) => path.endsWith('.test.ts'))).toBe(bare)
})

test('a stamp is read back, and an absent one is undefined', () => {
  const file = join(temporaryFolder(), 'stamps', 'guest')
  expect(readStamp(file)).toBeUndefined()
  writeStamp(file, 'abc')
  writeStamp(file, 'def')
  expect(readStamp(file)).toBe('def')
})
