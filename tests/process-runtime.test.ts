import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from './support/server.ts'

/** The whole server with no container engine: for development, asked for by name. */
let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ flags: ['--runtime', 'process'] })
}, 60_000)
afterAll(() => server[Symbol.asyncDispose](), 60_000)

test('a program runs, and survives a kill -9 of the server', async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 60_000, envs: { FOO: 'bar' } })
  expect((await sandbox.commands.run('echo $FOO')).stdout).toBe('bar\n')
  const command = await sandbox.commands.run('sleep 100', { background: true })
  await sandbox.files.write('note', 'kept')

  await server.end('SIGKILL')
  await command.wait().catch(() => {})
  await server.restart()
  expect(await sandbox.files.read('note')).toBe('kept')
  expect((await sandbox.commands.list()).map(({ pid }) => pid)).toEqual([command.pid])
  expect(await Sandbox.kill(sandbox.sandboxId)).toBe(true)
  expect(await sandbox.isRunning()).toBe(false)
})

test('many sandboxes come and go at once, and a deadline is kept', async () => {
  const sandboxes = await Promise.all(Array.from({ length: 20 }, () => Sandbox.create({ timeoutMs: 60_000 })))
  await Promise.all(sandboxes.map((sandbox, i) => sandbox.files.write('mine', String(i))))
  const read = await Promise.all(sandboxes.map((sandbox) => sandbox.files.read('mine')))
  expect(read).toEqual(sandboxes.map((_, i) => String(i)))
  const [first, ...rest] = sandboxes
  await first!.setTimeout(500)
  await Promise.all(rest.map((sandbox) => sandbox.kill()))
  await expect.poll(() => first!.isRunning(), { timeout: 10_000 }).toBe(false)
  expect(await Sandbox.list().nextItems()).toEqual([])
})
