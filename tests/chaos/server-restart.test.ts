import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { holdingsOf } from '../support/holdings.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe('a restart', () => {
  test('after kill -9, sandboxes are found again with their processes, tokens and deadlines', async () => {
    const sandbox = await Sandbox.create({
      timeoutMs: 300_000,
      metadata: { kept: 'yes' },
      envs: { FOO: 'bar' },
    })
    const command = await sandbox.commands.run('sleep 1000', { background: true, timeoutMs: 0 })
    await sandbox.files.write('kept.txt', 'kept')
    const before = await sandbox.getInfo()
    await server.end('SIGKILL')
    await command.wait().catch(() => {})
    await server.restart()

    expect(await sandbox.isRunning()).toBe(true)
    expect(await sandbox.getInfo()).toEqual(before)
    expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(command.pid)
    expect(await sandbox.files.read('kept.txt')).toBe('kept')
    expect((await sandbox.commands.run('echo $FOO')).stdout).toBe('bar\n')
    expect(await sandbox.commands.kill(command.pid)).toBe(true)
    expect(await sandbox.kill()).toBe(true)
  })

  test('a process whose client has left doesn’t keep the server from stopping', async () => {
    const sandbox = await Sandbox.create({ timeoutMs: 300_000 })
    const command = await sandbox.commands.run('sleep 1000', { background: true, timeoutMs: 0 })
    await command.disconnect()
    await sandbox.commands.run('true')
    const ended = await Promise.race([
      server.end('SIGTERM'),
      new Promise<string>((resolve) => setTimeout(resolve, 20_000, 'it did not stop').unref()),
    ])
    expect(ended).toContain('1 sandbox keeps running; "npm start" finds it again.')
    await server.restart()
    expect((await sandbox.commands.list()).map(({ pid }) => pid)).toEqual([command.pid])
    await sandbox.kill()
  })

  test('a sandbox whose time came while the server was away ends at the start', async () => {
    const sandbox = await Sandbox.create({ timeoutMs: 2_000 })
    await server.end('SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 2_100))
    await server.restart()
    await expect.poll(() => sandbox.isRunning(), { timeout: 2_000 }).toBe(false)
  })

  test('killed in the middle of creates, nothing is left that nobody owns', async () => {
    const creates = Array.from({ length: 4 }, () =>
      Sandbox.create({ timeoutMs: 300_000 }).catch(() => undefined),
    )
    await expect.poll(() => guests(server), { timeout: 10_000, interval: 10 }).not.toHaveLength(0)
    await server.end('SIGKILL')
    await Promise.all(creates)
    await server.restart()
    const known = (await Sandbox.list().nextItems()).map(({ sandboxId }) => sandboxId)
    await expect.poll(async () => (await guests(server)).sort(), { timeout: 10_000 }).toEqual(known.sort())
    for (const id of known) await Sandbox.kill(id)
    await expect.poll(() => guests(server), { timeout: 10_000 }).toEqual([])
  })

  test('SIGINT leaves sandboxes running and says so; --destroy-on-exit removes them', async () => {
    const sandbox = await Sandbox.create({ timeoutMs: 300_000 })
    expect(await server.end('SIGINT')).toContain('1 sandbox keeps running')
    expect(await guests(server)).toEqual([sandbox.sandboxId])
    await server.restart()
    expect(await sandbox.isRunning()).toBe(true)
    await sandbox.pause()
    expect(await server.end('SIGTERM')).toContain('1 sandbox stays paused; "npm start" finds it again.')

    await server.restart(['--destroy-on-exit'])
    const another = await Sandbox.create({ timeoutMs: 300_000 })
    expect((await guests(server)).sort()).toEqual([sandbox.sandboxId, another.sandboxId].sort())
    expect(await server.end('SIGINT')).toContain('No sandboxes are left')
    expect(await guests(server)).toEqual([])
    await server.restart()
  })
})

test('a second server on the same state directory is refused', async () => {
  const program = join(import.meta.dirname, '../../scripts/e2b-server.mjs')
  const args = [program, 'start', '--port', '0', '--debug-port', '0', '--state-dir', server.stateDir]
  const second = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const printed = Buffer.concat(await second.stderr.toArray()).toString()
  const [code] = second.exitCode === null ? await once(second, 'exit') : [second.exitCode]
  expect(code).toBe(1)
  expect(printed).toContain('choose another --state-dir')
})

/** Ids of the sandboxes that have guests. */
async function guests({ stateDir }: TestServer): Promise<string[]> {
  return [...(await (await holdingsOf(stateDir)).guests()).keys()]
}
