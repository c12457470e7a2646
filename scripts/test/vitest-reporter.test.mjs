import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { root } from '../setup/paths.mjs'

const source = `
import { afterAll, describe, expect, test } from 'vitest'
describe.each(['1.0'])('with %s (a|b)', () => {
  test('good', () => {})
  test('bad', () => expect(1).toBe(2))
  test.skip('left out', () => {})
})
describe('inner', () => {
  afterAll(() => { throw new Error('after inner') })
  test('late', () => {
    setTimeout(() => { throw new Error('nobody waits') }, 1)
    return new Promise((resolve) => setTimeout(resolve, 50))
  })
})
`

/** A folder where `vitest` is found. */
function makeFolder() {
  const build = join(root, 'build')
  mkdirSync(build, { recursive: true })
  return mkdtempSync(join(build, 'reporter-test-'))
}

test('tests are written by the names that -t takes, and errors outside of them', async () => {
  const folder = makeFolder()
  try {
    writeFileSync(join(folder, 'x.test.ts'), source)
    writeFileSync(join(folder, 'y.test.ts'), 'throw new Error("not loaded")')
    writeFileSync(join(folder, 'vitest.config.mjs'), 'export default {}')
    const results = join(folder, 'results.json')
    const vitest = join(root, 'node_modules/.bin/vitest')
    const reporter = join(root, 'scripts/test/vitest-reporter.mjs')
    const args = [
      'run',
      '--root',
      folder,
      '--config',
      join(folder, 'vitest.config.mjs'),
      '--reporter',
      reporter,
    ]
    const env = { ...process.env, E2B_TEST_RESULTS: results }
    await expect(promisify(execFile)(vitest, args, { env })).rejects.toMatchObject({ code: 1 })

    const { tests, errors } = JSON.parse(readFileSync(results, 'utf8'))
    expect(tests.map(({ name, state }) => `${state}: ${name}`).sort()).toEqual([
      'failed: with 1.0 (a|b) bad',
      'passed: inner late',
      'passed: with 1.0 (a|b) good',
      'skipped: with 1.0 (a|b) left out',
    ])
    const bad = tests.find(({ state }) => state === 'failed')
    expect(bad).toMatchObject({ file: join(folder, 'x.test.ts'), text: expect.stringContaining('1 to be 2') })
    const said = errors.map(({ file, text }) => `${file?.slice(folder.length)} ${text.split('\n')[0]}`)
    expect(said.sort()).toEqual([
      '/x.test.ts Error: after inner',
      '/y.test.ts Error: not loaded',
      'undefined Error: nobody waits',
    ])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 60_000)
