import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sdks } from '../support/sdks.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** SDKs have this port built in (e2b-wire 1.6). */
const debugPort = 49983

let server: TestServer
beforeAll(async () => {
  await requireFree(debugPort)
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(sdks)('e2b $version with E2B_DEBUG=true', ({ sdk: { Sandbox } }) => {
  test('commands and files of the one sandbox', async () => {
    const sandbox = await Sandbox.create()
    expect(sandbox.sandboxId).toBe('debug_sandbox_id')
    expect((await sandbox.commands.run('whoami')).stdout).toBe('user\n')
    await sandbox.files.write('debug.txt', 'kept')
    expect(await sandbox.files.read('debug.txt')).toBe('kept')
    expect(await sandbox.isRunning()).toBe(true)
    expect(sandbox.getHost(3000)).toBe('localhost:3000')

    // Older releases ask the API when they connect, which has no part in debug mode.
    const again = await Sandbox.create()
    expect(await again.files.read('debug.txt')).toBe('kept')
  })
})

test('web pages of other sites are refused', async () => {
  const answer = await fetch(`http://127.0.0.1:${debugPort}/health`, {
    headers: { origin: 'https://example.com' },
  })
  expect(answer.status).toBe(403)
})

test('a second server says that it has no debug mode, and how to have one', async () => {
  await using second = await startTestServer()
  expect(second.output()).toContain('E2B_DEBUG=true programs are not served')
  expect(second.output()).toContain('--debug-port')
  expect(second.output()).not.toMatch(/\bat .*\.m?[jt]s:\d/)
})

async function requireFree(port: number): Promise<void> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', () => reject(new Error(`port ${port} is taken, and debug mode has no other`)))
    probe.listen(port, '127.0.0.1', resolve)
  })
  await new Promise((resolve) => probe.close(resolve))
}
