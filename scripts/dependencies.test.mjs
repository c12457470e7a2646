import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './setup/paths.mjs'

const read = (file) => readFileSync(join(root, file), 'utf8')

/** The packages that the rows of a table name in their first column. */
function named(section) {
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) => [...row.split('|')[1].matchAll(/`([^`]+)`/g)].map(([, name]) => name))
}

test.each([
  ['dependencies', '## In the server'],
  ['devDependencies', '## For development'],
])('docs/dependencies.md has a sentence for each of %s and for nothing else', (field, heading) => {
  const section = read('docs/dependencies.md').split(heading)[1].split('\n## ')[0]
  expect(named(section).sort()).toEqual(Object.keys(JSON.parse(read('package.json'))[field]).sort())
})
