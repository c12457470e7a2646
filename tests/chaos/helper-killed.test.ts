/**
 * `kill -9` of the native runtime's helper. Guests live on, the server starts another helper, which finds them, and what ended
 * meanwhile is told.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Store } from '../../src/domain/store.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { askHelper, helloOf } from '../support/helper.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { disagreements } from './support/disagreements.ts'

const env = { E2B_SERVER_RUNTIME: 'native' }
let server: TestServer
let store: Store
let root: string
beforeAll(async () => {
  server = await startTestServer({ env })
  root = join(server.stateDir, 'native')
  store = await openSqliteStore({ path: join(server.stateDir, 'e2b-server.db') })
}, 180_000)
afterAll(async () => {
  await store?.close()
  await server?.[Symbol.asyncDispose]()
}, 180_000)

const agree = () =>
  expect.poll(() => disagreements({ store, stateDir: server.stateDir, env }), { timeout: 60_000 }).toEqual([])

/** Ends the helper, as a crash does, and resolves when there is another. */
async function crash(): Promise<void> {
  const { pid } = await helloOf(root)
  process.kill(pid, 'SIGKILL')
  for (;;) {
    const next = await helloOf(root).catch(() => undefined)
    if (next !== undefined && next.pid !== pid) return
    await sleep(20)
  }
}

test('sandboxes go on, with their processes; frozen ones wake, and others come and go', async () => {
  const running = await Sandbox.create({ timeoutMs: 600_000 })
  const command = await running.commands.run('sleep 1000', { background: true, timeoutMs: 0 })
  const paused = await Sandbox.create({ timeoutMs: 600_000 })
  await paused.files.write('kept', 'yes')
  await paused.pause()
  await crash()
  expect((await running.commands.list()).map(({ pid }) => pid)).toEqual([command.pid])
  const again = await Sandbox.connect(paused.sandboxId, { timeoutMs: 600_000 })
  expect(await again.files.read('kept')).toBe('yes')
  const another = await Sandbox.create({ timeoutMs: 600_000 })
  await agree()
  for (const each of [running, again, another]) expect(await each.kill()).toBe(true)
  await agree()
})

test('a sandbox that ends while there is no helper is gone, and its end is told', async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const { pid } = await askHelper(root, 'find', { sandbox: sandbox.sandboxId })
  const helper = await helloOf(root)
  process.kill(helper.pid, 'SIGSTOP')
  process.kill(Number(pid), 'SIGKILL')
  process.kill(helper.pid, 'SIGKILL')
  await expect.poll(() => sandbox.isRunning(), { timeout: 60_000 }).toBe(false)
  await agree()
})

test('in the middle of creates and kills: nothing is left that nobody owns', async () => {
  const creates = Array.from({ length: 8 }, () =>
    Sandbox.create({ timeoutMs: 600_000 }).catch(() => undefined),
  )
  await crash()
  const made = (await Promise.all(creates)).filter((sandbox) => sandbox !== undefined)
  const kills = made.map((sandbox) => sandbox.kill().catch(() => undefined))
  await crash()
  await Promise.all(kills)
  await Promise.all(made.map((sandbox) => sandbox.kill()))
  await agree()
  expect(await store.sandboxes.list({})).toEqual([])
})
