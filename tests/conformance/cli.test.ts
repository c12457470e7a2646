import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

const program = join(import.meta.dirname, '../../scripts/e2b-server.mjs')

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const where = args.includes('--state-dir') ? [] : ['--state-dir', server.stateDir]
  const run = promisify(execFile)(process.execPath, [program, ...args, ...where])
  return run.then(
    (out) => ({ code: 0, ...out }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )
}

function list(key: string): Promise<Response> {
  return fetch(`${server.url}/v2/sandboxes`, { headers: { 'x-api-key': key } })
}

test('env prints what a shell needs, and nothing else', async () => {
  const { stdout } = await cli('env')
  expect(stdout).toBe(
    `export E2B_API_KEY='${server.apiKey}'\nexport E2B_API_URL='${server.url}'\nexport E2B_SANDBOX_URL='${server.url}'\n`,
  )
  expect((await list(server.apiKey)).status).toBe(200)
})

test('doctor finds everything well', async () => {
  const { code, stdout } = await cli('doctor')
  expect(stdout).not.toContain('FAIL')
  expect(stdout).toContain(`${server.url} answers`)
  expect(stdout).toMatch(/^ok +sandbox +the base image starts and has python3/m)
  expect(stdout).toMatch(/^ok +isolation +seccomp/m)
  expect(stdout).toMatch(/^ok +egress rules +sandboxes are kept out .* can be closed; the server’s /m)
  for (const part of ['file watches', 'processes', 'connection table', 'name resolution'])
    expect(stdout).toMatch(new RegExp(`^(ok|WARN) +${part} `, 'm'))
  expect(code).toBe(0)
})

test('doctor says what is amiss and what to do about it', async () => {
  const { port } = new URL(server.url)
  const elsewhere = join(server.stateDir, 'elsewhere')
  const { code, stdout } = await cli('doctor', '--port', port, '--state-dir', elsewhere)
  expect(code).toBe(1)
  const found = (name: string) => new RegExp(`^FAIL  ${name} +(.*)\\n +(.*)$`, 'm').exec(stdout)?.slice(1)
  expect(found('port')).toEqual([
    `127.0.0.1 port ${port} can't be listened on: another program has it.`,
    expect.stringContaining('--port'),
  ])
  expect(found('server')).toEqual(['Not running.', 'Start it with "npm start".'])
  for (const part of [
    'versions',
    'clock',
    'disk',
    'cgroups',
    'guest agent',
    'runtime',
    'state directory',
    'store',
  ]) {
    expect(stdout).toMatch(new RegExp(`^(ok|WARN) +${part} `, 'm'))
  }
})

test('keys: a new one works until it is deleted, and is shown only masked', async () => {
  const key = (await cli('keys', 'create', '--name', 'ci')).stdout.trim()
  expect(key).toMatch(/^e2b_[0-9a-f]{40}$/)
  expect((await list(key)).status).toBe(200)

  const { stdout } = await cli('keys', 'list')
  expect(stdout).not.toContain(key)
  expect(stdout).toMatch(/ {2}created 2\S+Z {2}used 2\S+Z {2}server$/m)
  const id = stdout
    .split('\n')
    .find((line) => line.endsWith('  ci'))
    ?.split('  ')[0]
  await cli('keys', 'delete', id!)
  expect((await list(key)).status).toBe(401)
  expect(await cli('keys', 'delete', id!)).toMatchObject({ code: 1 })
})

test('keys of a server that has never run: none, and it says so', async () => {
  const answer = await cli('keys', 'list', '--state-dir', join(server.stateDir, 'never-run'))
  expect(answer).toMatchObject({ code: 0, stdout: '' })
  expect(answer.stderr).toContain('There are no keys yet')
})

test('mistakes are answered with one sentence', async () => {
  const wrongPort = await cli('start', '--port', 'many')
  expect(wrongPort).toMatchObject({ code: 1, stderr: 'e2b-server: --port must be a number.\n' })
  const port = new URL(server.url).port
  const elsewhere = ['--state-dir', `${server.stateDir}/other`]
  const taken = await promisify(execFile)(process.execPath, [
    program,
    'start',
    '--port',
    port,
    '--debug-port',
    '0',
    ...elsewhere,
  ]).catch((error) => error)
  expect(taken).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`Can't listen on 127.0.0.1 port ${port}`),
  })
  for (const [args, what] of [
    [['sandboxes'], "unknown command 'sandboxes'"],
    [['keys', 'add'], "unknown command 'add'"],
    [['start', '--prot', '1'], "unknown option '--prot'"],
  ] as const) {
    const { code, stderr } = await cli(...args)
    expect(code).toBe(1)
    expect(stderr).toContain(`error: ${what}`)
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(4)
  }
})

test('secrets are in no log and no process list', async () => {
  expect(server.output()).not.toContain(server.apiKey)
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'args'])
  expect(stdout).not.toContain(server.apiKey)
})
