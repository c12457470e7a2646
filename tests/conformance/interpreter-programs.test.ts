/** Frameworks whose E2B is the code interpreter, as published: their own tools are called, with no model behind them. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checksIn, runCheck } from '../support/framework-checks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

const folder = join(import.meta.dirname, 'frameworks/interpreter')

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test.each(checksIn(folder))('%s', { timeout: 180_000 }, async (name) => {
  expect(await runCheck(folder, name)).toMatch(/all done\n$/)
})
