import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

const folder = join(import.meta.dirname, '../../examples')
const examples = readdirSync(folder).filter((name) => name.endsWith('.mjs'))

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test('there are examples, each under 30 lines', () => {
  expect(examples.length).toBeGreaterThanOrEqual(6)
  for (const name of examples) {
    expect(readFileSync(join(folder, name), 'utf8').trimEnd().split('\n').length, name).toBeLessThan(30)
  }
})

test.each(examples)('%s runs, prints something and leaves no sandbox behind', async (name) => {
  const { code, printed } = await runProgram(join(folder, name))
  expect(printed).not.toBe('')
  expect(code, printed).toBe(0)
  expect(await Sandbox.list().nextItems()).toEqual([])
})

test('the program in README.md works as pasted', async () => {
  const readme = readFileSync(join(folder, '../README.md'), 'utf8')
  const source = /```(?:js|javascript)\n([\s\S]*?)```/.exec(readme)?.[1]
  expect(source).toBeDefined()
  const { code, printed } = await runProgram('--input-type=module', '-e', source!)
  expect(code, printed).toBe(0)
  expect(printed).not.toBe('')
  expect(await Sandbox.list().nextItems()).toEqual([])
})

async function runProgram(...args: string[]): Promise<{ code: number; printed: string }> {
  const program = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  program.stdout.on('data', (text) => (printed += text))
  program.stderr.on('data', (text) => (printed += text))
  const [code] = await once(program, 'close')
  return { code, printed }
}
