/** Whatever a tenant does with its key and with root in its sandboxes, twenty sandboxes of another team go on. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type HostileTenant, prepareHostileTenant } from '../support/hostile-tenant.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const program = join(import.meta.dirname, '../../scripts/e2b-server.mjs')

let server: TestServer
let tenant: HostileTenant
beforeAll(async () => {
  server = await startTestServer({ flags: ['--data-workers', '2'] })
  tenant = await prepareHostileTenant(server)
}, 180_000)
afterAll(async () => {
  await tenant?.kill()
  await server?.[Symbol.asyncDispose]()
}, 180_000)

test('no call of theirs fails, no data worker ends, and the control process never stands', async () => {
  const cli = async (...args: string[]) =>
    (
      await promisify(execFile)(process.execPath, [program, ...args, '--state-dir', server.stateDir])
    ).stdout.trim()
  await cli('teams', 'create', 'blue')
  const apiKey = await cli('keys', 'create', '--team', 'blue')
  const sandboxes: Sandbox[] = []
  for (let i = 0; i < 20; i++) sandboxes.push(await Sandbox.create({ apiKey, timeoutMs: 1_200_000 }))
  const workers = server.dataWorkers()

  let isOver = false
  const failures: unknown[] = []
  let calls = 0
  const goOn = sandboxes.map(async (sandbox, i) => {
    while (!isOver) {
      try {
        const { stdout } = await sandbox.commands.run(`echo ${i}`, { timeoutMs: 60_000 })
        expect(stdout).toBe(`${i}\n`)
        await sandbox.files.write('kept.txt', `${i}`)
        expect(await sandbox.files.read('kept.txt')).toBe(`${i}`)
        expect((await sandbox.getInfo()).sandboxId).toBe(sandbox.sandboxId)
        calls += 4
      } catch (error) {
        failures.push(error)
      }
    }
  })
  await tenant.attack()
  isOver = true
  await Promise.all(goOn)

  expect(failures).toEqual([])
  expect(calls).toBeGreaterThan(80)
  expect(server.dataWorkers()).toEqual(workers)
  expect(server.output()).not.toMatch(/is stuck|Invalid URL/)
  await Promise.all(sandboxes.map((sandbox) => sandbox.kill()))
}, 600_000)
