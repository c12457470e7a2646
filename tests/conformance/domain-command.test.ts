/** `domain on` and `off` on a machine with the distribution's own tools, and what programs then need: a key and a domain. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { type PrivateMachine, startPrivateMachine } from '../support/private-machine.ts'
import { pythonVersions } from '../support/python.ts'

const root = join(import.meta.dirname, '../..')
const program = join(root, 'scripts/e2b-server.mjs')
/** Nobody else's on this machine's loopback. */
const address = `127.53.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`
const certificate = '/usr/local/share/ca-certificates/e2b-server-e2b.local.crt'

// Each command is a process of its own, and there are many.
vi.setConfig({ testTimeout: 240_000 })

const stateDir = mkdtempSync(join(tmpdir(), 'e2b-domain-command-'))
let machine: PrivateMachine
let server: ChildProcess
beforeAll(async () => {
  machine = await startPrivateMachine()
  await machine.run(['update-ca-certificates'])
  before = await filesOf()
  server = await startServer()
})
afterAll(async () => {
  await end('SIGTERM')
  server = await startServer('--destroy-on-exit')
  await end('SIGTERM')
  await machine[Symbol.asyncDispose]()
  rmSync(stateDir, { recursive: true })
})

async function startServer(...more: string[]): Promise<ChildProcess> {
  const names = [
    '--host',
    address,
    '--domain',
    'e2b.local',
    '--tls',
    '--dns',
    `${address}:53`,
    '--debug-port',
    '0',
  ]
  const command = [...machine.prefix, process.execPath, program, 'start', '--state-dir', stateDir]
  const child = spawn(command[0]!, [...command.slice(1), ...names, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (text) => (said += text))
  const isSaid = () => said.includes('answers on') || child.exitCode !== null
  await vi.waitUntil(isSaid, { timeout: 60_000, interval: 50 })
  expect(said).toContain('answers on')
  return child
}

async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const ended = once(server, 'close')
  server.kill(signal)
  await ended
}

const domain = (...words: string[]) =>
  machine.run([process.execPath, program, 'domain', ...words, '--state-dir', stateDir])

/** Every file that a change could be in, with its name, kind, mode and content. */
async function filesOf(): Promise<string> {
  const all = 'find etc usr/local/share/ca-certificates'
  const list = `cd / && { ${all} -printf '%p %m %l %y\\n'; ${all} -type f -exec sha256sum {} +; } | sort`
  return (await machine.run(['sh', '-c', list])).stdout
}

/** As they are before each test, since each leaves them so. */
let before: string
afterEach(async () => {
  const { code, stderr } = await domain('off')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(await filesOf()).toBe(before)
})

test('programs find the server and believe it by E2B_API_KEY and E2B_DOMAIN', async () => {
  expect(await domain('status')).toMatchObject({ code: 3, stdout: expect.stringMatching(/^domain +off$/m) })
  const dry = await domain('on', '--dry-run')
  expect(dry.stdout).toMatch(/nameserver 127\.53\..*\/etc\/resolv\.conf/)
  expect(dry.stdout).toContain('update-ca-certificates')
  expect(await filesOf()).toBe(before)

  expect(await domain('on')).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining(address) })
  expect((await domain('status')).stdout).toMatch(/^domain +e2b\.local is on$/m)
  const doctor = await machine.run([process.execPath, program, 'doctor', '--state-dir', stateDir])
  expect(doctor.stdout).toMatch(/^ok +domain on /m)
  expect(doctor.stdout).toMatch(/^ok +names .*e2b\.local/m)

  expect((await machine.run(['curl', '-sS', 'https://api.e2b.local/health'])).stdout).toBe(
    'Health check successful',
  )

  const variables = {
    E2B_API_KEY: readFileSync(join(stateDir, 'api-key'), 'utf8').trim(),
    E2B_DOMAIN: 'e2b.local',
  }
  const js = `import { Sandbox } from 'e2b'
    const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
    console.log((await sandbox.commands.run('echo said-$((6 * 7))')).stdout)
    await sandbox.kill()`
  const node = [process.execPath, '--input-type=module', '--eval', js]
  expect(await machine.run(node, { ...variables, NODE_EXTRA_CA_CERTS: certificate })).toMatchObject({
    stderr: '',
    stdout: expect.stringContaining('said-42'),
  })
  const python = `from e2b import Sandbox
sandbox = Sandbox.create(timeout=60)
print(sandbox.commands.run("echo said-$((6 * 7))").stdout)
sandbox.kill()`
  for (const version of pythonVersions) {
    const command = [join(root, 'build/python', version, 'bin/python'), '-c', python]
    const all = { ...variables, SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt' }
    expect(await machine.run(command, all)).toMatchObject({
      stderr: '',
      stdout: expect.stringContaining('said-42'),
    })
  }
})

test('the server’s own line in resolv.conf is there while the server runs', async () => {
  const resolvConf = async () => (await machine.run(['cat', '/etc/resolv.conf'])).stdout
  const original = await resolvConf()
  await domain('on')
  const changed = await resolvConf()
  expect(changed).toMatch(new RegExp(`^nameserver ${address}$`, 'm'))
  expect(changed.match(/^nameserver/gm)).toHaveLength(1)
  await end('SIGTERM')
  expect(await resolvConf()).toBe(original)
  expect((await domain('status')).stdout).toContain('comes back with the server')
  server = await startServer()
  expect(await resolvConf()).toBe(changed)
  await end('SIGKILL')
  expect(await resolvConf()).toBe(changed)
  expect((await domain('off')).code).toBe(0)
  expect(await resolvConf()).toBe(original)
  server = await startServer()
})

test('one that broke off is done again, or taken back', async () => {
  const hook = '/etc/ca-certificates/update.d/breaks-off'
  const put = `printf '#!/bin/sh\\nkill -9 "$VICTIM"\\n' >${hook} && chmod 755 ${hook}`
  const breakOff = async () => {
    await machine.run(['sh', '-c', put])
    const args = [process.execPath, program, 'domain', 'on', '--state-dir', stateDir].join(' ')
    await machine.run(['sh', '-c', `VICTIM=$$ exec ${args}`])
    await machine.run(['rm', hook])
    expect((await domain('status')).stdout).toContain('half on')
  }
  await breakOff()
  expect((await domain('on')).code).toBe(0)
  expect((await domain('status')).stdout).toMatch(/^domain +e2b\.local is on$/m)
  await domain('off')
  expect(await filesOf()).toBe(before)
  await breakOff()
})

test('what others put into the files stays', async () => {
  await domain('on')
  await machine.run(['sh', '-c', 'echo "options timeout:3" >>/etc/resolv.conf'])
  await domain('on')
  expect((await domain('off')).code).toBe(0)
  expect((await machine.run(['tail', '-n', '1', '/etc/resolv.conf'])).stdout).toBe('options timeout:3\n')
  await machine.run([
    'sh',
    '-c',
    `text=$(sed '$d' /etc/resolv.conf) && printf '%s\\n' "$text" >/etc/resolv.conf`,
  ])
})

test('who is not root is told what it would do', async () => {
  const code = `process.setuid(65534); await import(${JSON.stringify(program)})`
  await machine.run(['chmod', '-R', 'a+rX', stateDir])
  const { stderr } = await machine.run([
    ...[process.execPath, '--input-type=module', '--eval', code, 'x'],
    ...['domain', 'on', '--state-dir', stateDir],
  ])
  await machine.run(['chmod', '700', stateDir])
  expect(stderr).toMatch(/^e2b-server: Only root may change .*sudo .*domain on --state-dir /)
  expect(stderr).toContain('update-ca-certificates')
  expect(await filesOf()).toBe(before)
  expect(existsSync(join(stateDir, 'domain.json'))).toBe(false)
})
