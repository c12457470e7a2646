/** Teams, their limits and the operator, on a server as it runs and with the SDK's own errors. */
import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

const program = join(import.meta.dirname, '../../scripts/e2b-server.mjs')

let server: TestServer
let adminToken: string
beforeAll(async () => {
  server = await startTestServer({ flags: ['--max-lifetime-hours', '2'] })
  adminToken = readFileSync(join(server.stateDir, 'admin-token'), 'utf8').trim()
})
afterAll(() => server[Symbol.asyncDispose]())

async function cli(...args: string[]): Promise<string> {
  const all = [program, ...args, '--state-dir', server.stateDir]
  return (await promisify(execFile)(process.execPath, all)).stdout.trim()
}

async function operate(method: string, path: string, body?: unknown) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { 'x-admin-token': adminToken, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

test('teams are kept apart, and limits of a running server’s team count at once', async () => {
  const [teamID] = (await cli('teams', 'create', 'blue', '--name', 'Team Blue')).split('  ')
  const apiKey = await cli('keys', 'create', '--team', 'blue', '--name', 'ci')
  expect(await cli('keys', 'list', '--team', 'blue')).toMatch(/never used {2}ci$/)
  expect(await cli('keys', 'list')).not.toContain('  ci')
  const teams = await operate('GET', '/teams')
  expect(teams.body).toContainEqual({ teamID, name: 'Team Blue', apiKey: '', isDefault: false })

  const theirs = await Sandbox.create({ apiKey })
  expect(await Sandbox.kill(theirs.sandboxId)).toBe(false)
  expect(await cli('teams', 'limits', 'blue', '--sandboxes', '1')).toContain('sandboxes=1')
  await expect(Sandbox.create({ apiKey, requestTimeoutMs: 20_000 })).rejects.toMatchObject({
    name: 'RateLimitError',
    message: expect.stringContaining('maximum number of concurrent E2B sandboxes (1)'),
  })
  await expect(Sandbox.create({ apiKey, timeoutMs: 3 * 3600_000 })).rejects.toThrow(
    /7200 s.*--lifetime-hours/,
  )
  const mine = await Sandbox.create()
  expect((await operate('GET', '/admin/sandboxes/running-counts')).body).toMatchObject({ [teamID!]: 1 })
  const killed = await operate('POST', `/admin/teams/${teamID}/sandboxes/kill`)
  expect(killed.body).toEqual({ killedCount: 1, failedCount: 0 })
  expect(await theirs.isRunning()).toBe(false)
  expect(await mine.isRunning()).toBe(true)
  await mine.kill()
})

test('a draining node keeps what runs and refuses what is new, over restarts, until it is ready again', async () => {
  expect(statSync(join(server.stateDir, 'admin-token')).mode & 0o777).toBe(0o600)
  const before = await Sandbox.create()
  const [node] = (await operate('GET', '/nodes')).body
  expect(node).toMatchObject({ status: 'ready', sandboxCount: 1, createSuccesses: 3, createFails: 0 })
  expect((await operate('POST', `/nodes/${node.id}`, { status: 'draining' })).status).toBe(204)
  await server.end('SIGTERM')
  await server.restart()
  expect((await operate('GET', `/nodes/${node.id}`)).body).toMatchObject({
    status: 'draining',
    sandboxCount: 1,
  })
  expect((await before.commands.run('echo still here')).stdout).toBe('still here\n')

  const refused = await fetch(`${server.url}/v2/sandboxes`, {
    method: 'POST',
    headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
    body: '{"templateID":"base"}',
  })
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('30')
  expect(await refused.json()).toMatchObject({
    code: 503,
    error_code: 'sandbox_capacity_unavailable',
    message: expect.stringMatching(/^Failed to place sandbox: .*draining/),
  })

  expect((await operate('POST', `/nodes/${node.id}`, { status: 'ready' })).status).toBe(204)
  await (await Sandbox.create()).kill()
  await before.kill()
})
