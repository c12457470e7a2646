/** What a newcomer types, against a server without a container engine. */
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startTestServer, type TestServer } from './support/server.ts'

const program = join(import.meta.dirname, '../scripts/e2b-server.mjs')
const givenKey = 'e2b_0123456789abcdef0123456789abcdef01234567'

// Each command is a process of its own, and a loaded machine starts one in a second or two.
vi.setConfig({ testTimeout: 120_000 })

let server: TestServer
beforeAll(async () => {
  const env = { E2B_SERVER_API_KEY: givenKey, E2B_SERVER_LOG_LEVEL: 'debug' }
  server = await startTestServer({ flags: ['--runtime', 'process'], env })
}, 120_000)
afterAll(() => server[Symbol.asyncDispose](), 120_000)

async function cli(args: string[], env: Record<string, string> = {}) {
  const run = promisify(execFile)(process.execPath, [program, ...args], { env: { ...process.env, ...env } })
  return run.then(
    (out) => ({ code: 0, ...out }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )
}

const here = () => ['--state-dir', server.stateDir]
const elsewhere = () => ['--state-dir', join(server.stateDir, 'elsewhere')]

describe('help', () => {
  test.each([
    [[], ['Commands:', 'start', 'status', 'stop', 'logs', 'env', 'doctor']],
    [['keys'], ['create', 'delete']],
    [['teams'], ['limits']],
  ])('bare: %j', async (args, words) => {
    const { code, stdout, stderr } = await cli(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const word of words) expect(stdout).toContain(word)
  })

  test('a word that is no command, and flags without one', async () => {
    expect(await cli(['statu'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/unknown command.*\n.*status/),
    })
    expect(await cli(['--port', '0'])).toMatchObject({ code: 1, stderr: expect.stringContaining("'--port'") })
  })
})

describe('a key given by a variable', () => {
  test('env prints it where it is set', async () => {
    const { code, stdout } = await cli(['env', ...here()], { E2B_SERVER_API_KEY: givenKey })
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`E2B_API_KEY='${givenKey}'`),
    })
  })

  test('env says what to do where it is not, and the key is in no file', async () => {
    const { code, stdout, stderr } = await cli(['env', ...here()])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /^e2b-server: The server was given its key by E2B_SERVER_API_KEY.*keys create".\n$/,
    )
    for (const file of ['server.json', 'server.log']) {
      expect(readFileSync(join(server.stateDir, file), 'utf8')).not.toContain(givenKey)
    }
    expect(server.output()).toContain('where E2B_SERVER_API_KEY is set')
  })

  test('doctor finds nothing wrong with it, with the variable and without', async () => {
    const line = (stdout: string) => /^(\S+) +API and key .*$/m.exec(stdout)
    const known = await cli(['doctor', ...here()], { E2B_SERVER_API_KEY: givenKey })
    expect(line(known.stdout)?.[1]).toBe('ok')
    const unknown = await cli(['doctor', ...here()])
    expect(line(unknown.stdout)?.[1]).toBe('WARN')
    expect(unknown.stdout).toContain('E2B_SERVER_API_KEY')
    const other = await cli(['doctor', ...here()], { E2B_SERVER_API_KEY: givenKey.replace('e2b_0', 'e2b_f') })
    expect(line(other.stdout)?.[1]).toBe('FAIL')
    expect(other.code).toBe(1)
  })
})

test('doctor shows groups, and counts what it saw', async () => {
  const { stdout } = await cli(['doctor', ...here()])
  for (const group of ['This machine', 'Ports', 'The server', 'Names and trust']) {
    expect(stdout).toMatch(new RegExp(`^${group}:\\n(ok|WARN|FAIL) `, 'm'))
  }
  const lines = stdout.match(/^(ok|WARN|FAIL) /gm)!
  expect(stdout.trim().split('\n').at(-1)).toMatch(new RegExp(`^${lines.length} checks: .* ok, .* failed$`))
})

test('env in other formats', async () => {
  const { stdout } = await cli(['env', '--format', 'json', ...here()], { E2B_SERVER_API_KEY: givenKey })
  expect(JSON.parse(stdout)).toEqual({
    E2B_API_KEY: givenKey,
    E2B_API_URL: server.url,
    E2B_SANDBOX_URL: server.url,
  })
  expect(await cli(['env', '--format', 'yaml', ...here()])).toMatchObject({ code: 1 })
})

test('status: whether it runs, where, which, and what it has', async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
  const { code, stdout } = await cli(['status', ...here()])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^server +running$/m)
  expect(stdout).toContain(server.url)
  expect(stdout).toMatch(new RegExp(`^process +${server.pid()}$`, 'm'))
  expect(stdout).toMatch(/^version +\d+\.\d+\.\d+$/m)
  expect(stdout).toMatch(/^up for +\d+ (s|min)/m)
  expect(stdout).toMatch(/^sandboxes +1 running, 0 paused$/m)
  await sandbox.kill()

  const none = await cli(['status', ...elsewhere()])
  expect(none).toMatchObject({ code: 3, stdout: expect.stringMatching(/^server +not running$/m) })
  expect(existsSync(elsewhere()[1]!)).toBe(false)
})

test('logs: of the server, of a sandbox, of neither', async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
  await sandbox.commands.run('echo said-$((6 * 7))')
  const id = sandbox.sandboxId
  await expect
    .poll(async () => (await cli(['logs', id, ...here()])).stdout, { timeout: 60_000, interval: 500 })
    .toMatch(/ INFO: .*said-42/)
  const json = (await cli(['logs', id, '--json', ...here()])).stdout.trim().split('\n')
  expect(json.map((line: string) => JSON.parse(line).msg)).toContain('sandbox created')
  expect((await cli(['logs', id, '-n', '1', ...here()])).stdout.trim().split('\n')).toHaveLength(1)
  await sandbox.kill()

  const own = (await cli(['logs', '--json', ...here()])).stdout.trim().split('\n')
  expect(own.map((line: string) => JSON.parse(line)).at(-1)).toMatchObject({
    level: expect.any(Number),
    msg: expect.any(String),
  })
  expect((await cli(['logs', '-n', '1', ...here()])).stdout).toMatch(
    /^\[\d{4}-\d\d-\d\d [\d:.]+\] [A-Z]+: .+\n$/,
  )
  expect(statSync(join(server.stateDir, 'server.log')).mode & 0o777).toBe(0o600)

  expect(await cli(['logs', 'inone', ...here()])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("'inone'"),
  })
  expect(await cli(['logs', '-n', 'all', ...here()])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--lines'),
  })
  expect(await cli(['logs', ...elsewhere()])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--state-dir'),
  })
})

test('logs -f goes on with a sandbox until its reader leaves', async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
  const child = spawn(process.execPath, [program, 'logs', '-f', '-n', '0', sandbox.sandboxId, ...here()])
  let printed = ''
  child.stdout.on('data', (text) => (printed += text))
  const ended = new Promise((resolve) => child.once('close', resolve))
  for (const word of ['first', 'second']) {
    await expect
      .poll(
        async () => {
          if (!printed.includes(word)) await sandbox.commands.run(`echo ${word}`)
          return printed
        },
        { timeout: 60_000, interval: 1_000 },
      )
      .toContain(word)
  }
  child.kill('SIGINT')
  expect(await ended).toBe(0)
  await sandbox.kill()
})

test('on a terminal lines are readable, elsewhere they are JSON', async () => {
  const args = ['start', '--runtime', 'process', '--port', '0', '--debug-port', '0', '--log-level', 'debug']
  const command = [process.execPath, program, ...args, ...elsewhere()].map((word) => `'${word}'`).join(' ')
  const terminal = spawn('script', ['-qec', command, '/dev/null'])
  let printed = ''
  terminal.stdout.on('data', (text) => (printed += text))
  const ended = new Promise((resolve) => terminal.once('close', resolve))
  await expect.poll(() => printed, { timeout: 30_000 }).toContain('answers on')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
  const plain = () => printed.replaceAll(/\u001b\[[\d;]*m/g, '')
  expect(plain()).toMatch(/^\[\d{4}-\d\d-\d\d [\d:.]+\] INFO: starting /m)
  expect(plain()).not.toContain('{"level"')

  expect(await cli(['stop', ...elsewhere()])).toMatchObject({
    code: 0,
    stdout: 'Stopped. No sandboxes are left.\n',
  })
  await ended
  const [kept] = readFileSync(join(elsewhere()[1]!, 'server.log'), 'utf8').split('\n')
  expect(JSON.parse(kept!)).toMatchObject({ level: 30, msg: 'starting' })
  expect(server.output()).toContain('"msg":"starting"')
})

test('stop ends the server and waits for it; a second one finds none', async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
  const pid = server.pid()
  const [first, second] = await Promise.all([cli(['stop', ...here()]), cli(['stop', ...here()])])
  const said = 'Stopped. 1 sandbox keeps running; "npm start" finds it again.\n'
  for (const { code, stdout } of [first, second]) {
    expect(code).toBe(0)
    expect([said, `No server runs with ${server.stateDir}.\n`]).toContain(stdout)
  }
  expect(server.output()).toContain(said)
  expect(existsSync(`/proc/${pid}`)).toBe(false)
  expect(await cli(['stop', ...here()])).toMatchObject({
    code: 0,
    stdout: `No server runs with ${server.stateDir}.\n`,
  })
  expect((await cli(['status', ...here()])).stdout).toMatch(/^sandboxes +1 running, 0 paused$/m)
  await server.restart()
  await sandbox.kill()
})

test('a server whose directory takes no more files stops all the same', async () => {
  await using other = await startTestServer({ flags: ['--runtime', 'process'] })
  // Where it would write, before that becomes server.json.
  const place = join(other.stateDir, 'server.json.new')
  mkdirSync(place)
  const at = ['--state-dir', other.stateDir]
  expect(await cli(['stop', ...at])).toMatchObject({ code: 0, stderr: '' })
  expect(await cli(['status', ...at])).toMatchObject({ code: 3 })
  expect(existsSync(join(other.stateDir, 'server.json'))).toBe(false)
  rmdirSync(place)
})
