import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
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
  expect(stdout).toMatch(/^ok +images of others +/m)
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

test('templates are built from a Dockerfile, listed, deleted, and what they leave is freed', {
  timeout: 240_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-dockerfile-'))
  mkdirSync(join(folder, 'data'))
  writeFileSync(join(folder, 'data/a.txt'), 'alpha')
  writeFileSync(join(folder, 'data/b.md'), 'beta')
  writeFileSync(join(folder, '.dockerignore'), '# not these\n**/*.md\n')
  const lines = [
    'FROM e2bdev/base',
    'COPY --chmod=0600 data/*.txt /data/',
    'COPY . /all/',
    'RUN cat /data/a.txt',
  ]
  writeFileSync(join(folder, 'Dockerfile'), lines.join('\n'))
  const size = ['--cpu-count', '1', '--memory-mb', '512']
  const built = await cli('templates', 'build', folder, '--name', 'from-file:v1', ...size)
  expect(built).toMatchObject({ code: 0, stderr: '' })
  expect(built.stdout).toContain('[stdout]: alpha')
  expect(built.stdout).toContain('Uploading data/*.txt')
  expect(built.stdout.trim().split('\n').at(-1)).toBe('default/from-file is ready')
  const again = await cli('templates', 'build', join(folder, 'Dockerfile'), '--name', 'from-file:v1', ...size)
  expect(again.stdout).not.toContain('Uploading')
  expect(again.stdout.match(/^CACHED \[builder/gm)?.length).toBeGreaterThan(4)

  const sandbox = await Sandbox.create('from-file:v1')
  const said = await sandbox.commands.run('stat -c "%a %n" /data/a.txt; find /all -type f | sort', {
    user: 'root',
  })
  await sandbox.kill()
  expect(said.stdout.trim().split('\n')).toEqual([
    '600 /data/a.txt',
    '/all/.dockerignore',
    '/all/Dockerfile',
    '/all/data/a.txt',
  ])

  writeFileSync(join(folder, 'Dockerfile'), 'FROM e2bdev/base\nRUN echo nearly there; exit 3')
  const failed = await cli('templates', 'build', folder, '--name', 'from-file:v2')
  expect(failed.code).toBe(1)
  expect(failed.stdout).toContain('[stdout]: nearly there')
  expect(failed.stderr).toContain('exit status 3')
  expect((await cli('templates', 'build', join(folder, 'nothing'))).stderr).toContain('neither a Dockerfile')

  const listed = (await cli('templates', 'list')).stdout
  expect(listed).toMatch(/^[a-z0-9]{20} {2}error {2}1 vCPU 512 MiB {2}private .* default\/from-file$/m)
  expect(await cli('templates', 'delete', 'none')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("doesn't exist"),
  })
  expect((await cli('templates', 'delete', 'from-file')).code).toBe(0)
  expect((await cli('templates', 'list')).stdout).not.toContain('default/')
  expect((await cli('templates', 'gc', '--all')).stdout).toMatch(
    /^Removed \d+ builds, \d+ stock images, [1-9]\d* layers and \d+ archives/,
  )
  rmSync(folder, { recursive: true })
})
