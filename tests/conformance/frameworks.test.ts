/** Frameworks with E2B inside, as published: their own classes are called, with no model behind them. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

const root = join(import.meta.dirname, '../..')
const folder = join(import.meta.dirname, 'frameworks')
const requirements = join(folder, 'requirements')
const frameworks = readdirSync(requirements).map((file) => basename(file, '.txt'))

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test.each(frameworks)('%s', { timeout: 180_000 }, async (name) => {
  const python = join(root, 'build/frameworks', name, 'bin/python')
  const run = promisify(execFile)(python, [join(folder, `${name}.check.py`)], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    timeout: 170_000,
  })
  expect((await run).stdout).toMatch(/all done\n$/)
})

test('docs/works-with.md names each of them in the version that was run', () => {
  const page = readFileSync(join(root, 'docs/works-with.md'), 'utf8')
  for (const name of frameworks) {
    const pins = readFileSync(join(requirements, `${name}.txt`), 'utf8')
    const version = new RegExp(`^${name}==(.+)$`, 'm').exec(pins)?.[1]
    expect(page).toMatch(new RegExp(`^\\| ${name} ${version} .*\\| yes \\|`, 'm'))
  }
})
