import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { root } from './paths.mjs'
import { runscStep } from './step-runsc.mjs'

const folder = mkdtempSync(join(tmpdir(), 'e2b-runsc-'))
afterAll(() => rmSync(folder, { recursive: true }))
const { module, version } = JSON.parse(readFileSync(join(root, 'spec', 'gvisor.json'), 'utf8'))
const program = (name, text) => {
  const file = join(folder, name)
  writeFileSync(file, text)
  chmodSync(file, 0o755)
  return file
}

test('the program that is named is taken where it is of the version, wherever that stands in it', async () => {
  const binary = join(folder, 'taken')
  // Across the end of a piece that is read.
  const text = `${'x'.repeat(4 * 2 ** 20 - 10)}\t${module}\t${version}\th1:`
  const step = runscStep({ root, binary, env: { RUNSC: program('right', text), PATH: '' } })
  expect(await step.isDone()).toBe(false)
  await step.run(() => {})
  expect(await step.isDone()).toBe(true)
  expect(readFileSync(binary, 'utf8')).toBe(text)
})

test('one of another version is none', async () => {
  const binary = program('other', `\t${module}\t${version}1\th1:`)
  expect(await runscStep({ root, binary, env: {} }).isDone()).toBe(false)
  expect(await runscStep({ root, binary: join(folder, 'missing'), env: {} }).isDone()).toBe(false)
})
