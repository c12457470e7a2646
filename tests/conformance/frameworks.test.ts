/** Frameworks with E2B inside, as published: their own classes are called, with no model behind them. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checksIn, outputOf, runCheck } from '../support/framework-checks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

const root = join(import.meta.dirname, '../..')
const folder = join(import.meta.dirname, 'frameworks')
const requirements = join(folder, 'requirements')
/** Also those of interpreter-programs.test.ts. */
const installed = readdirSync(requirements).map((file) => basename(file, '.txt'))
/** Packages of npm, by their checks. */
const inJavaScript: Record<string, string> = { 'computesdk-e2b': '@computesdk/e2b' }

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test.each(checksIn(folder))('%s', { timeout: 180_000 }, async (name) => {
  expect(await runCheck(folder, name)).toMatch(/all done\n$/)
})

test.each(Object.keys(inJavaScript))('%s', { timeout: 180_000 }, async (name) => {
  expect(await outputOf(process.execPath, join(folder, `${name}.check.mjs`))).toMatch(/all done\n$/)
})

test('docs/works-with.md names each of them in the version that was run', () => {
  const page = readFileSync(join(root, 'docs/works-with.md'), 'utf8')
  const pinned = (name: string) => readFileSync(join(requirements, `${name}.txt`), 'utf8')
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const run = [
    ...installed.map((name) => [name, new RegExp(`^${name}==(.+)$`, 'm').exec(pinned(name))?.[1]]),
    ...Object.values(inJavaScript).map((name) => [name, devDependencies[name]]),
  ]
  for (const [name, version] of run) {
    expect(page).toMatch(new RegExp(`^\\| ${name} ${version} .*\\| yes(, [^|]*)? \\|`, 'm'))
  }
})
