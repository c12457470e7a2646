/** The official command line against the server, its terminals included. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

const cli = join(import.meta.dirname, '../../node_modules/@e2b/cli/dist/index.js')
const home = mkdtempSync(join(tmpdir(), 'e2b-cli-'))
let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

describe('@e2b/cli', () => {
  test('create, list, info, exec, pause, resume, logs, metrics, snapshot, kill', {
    timeout: 180_000,
  }, async () => {
    const id = (await run('sandbox', 'create', '-d', 'base')).trim().split(/\s+/).at(-1)!
    expect(id).toMatch(/^i[a-z0-9]{20}$/)
    expect(await run('sandbox', 'list', '--format', 'json')).toContain(id)
    expect(await run('sandbox', 'info', id, '--format', 'json')).toContain('"state": "running"')
    expect(await run('sandbox', 'exec', id, 'echo', 'hello from inside')).toContain('hello from inside')

    expect(await run('sandbox', 'pause', id)).toContain(id)
    expect(await run('sandbox', 'info', id, '--format', 'json')).toContain('"state": "paused"')
    expect(await run('sandbox', 'list', '--state', 'paused', '--format', 'json')).toContain(id)
    expect(await run('sandbox', 'resume', id)).toContain(id)
    expect(await run('sandbox', 'info', id, '--format', 'json')).toContain('"state": "running"')

    await expect
      .poll(() => run('sandbox', 'logs', id, '--format', 'json'), { timeout: 20_000, interval: 500 })
      .toContain('hello from inside')
    await expect
      .poll(() => run('sandbox', 'metrics', id, '--format', 'json'), { timeout: 30_000, interval: 1_000 })
      .toMatch(/cpu/i)

    const made = await run('sandbox', 'snapshot', 'create', id, '--format', 'json').catch(() =>
      run('sandbox', 'snapshot', 'create', id),
    )
    const snapshotId = /[a-z0-9]{20}:default/.exec(made)?.[0]
    expect(snapshotId, made).toBeDefined()
    expect(await run('sandbox', 'snapshot', 'list')).toContain(snapshotId!.split(':')[0])
    await run('sandbox', 'snapshot', 'delete', '-y', snapshotId!).catch(() =>
      run('sandbox', 'snapshot', 'delete', snapshotId!),
    )
    expect(await run('sandbox', 'snapshot', 'list')).not.toContain(snapshotId!.split(':')[0])

    expect(await run('sandbox', 'kill', id)).toContain(id)
    expect(await run('sandbox', 'list', '--format', 'json')).not.toContain(id)
  })

  test('template create, list, publish, unpublish, delete', { timeout: 240_000 }, async () => {
    const name = `cli-${randomUUID().slice(0, 8)}`
    writeFileSync(join(home, 'greeting.txt'), 'hello from a file')
    writeFileSync(
      join(home, 'e2b.Dockerfile'),
      'FROM e2bdev/base\nCOPY greeting.txt /srv/\nRUN cat /srv/greeting.txt > /srv/copied\n',
    )
    const size = ['--cpu-count', '1', '--memory-mb', '512']
    const made = await run('template', 'create', name, '-c', 'sleep infinity', '--ready-cmd', 'true', ...size)
    expect(made).toContain(name)
    const listed = async () => {
      const templates = JSON.parse(await run('template', 'list', '--format', 'json')) as Record<
        string,
        unknown
      >[]
      return templates.find(({ aliases }) => (aliases as string[]).includes(name))
    }
    const template = await listed()
    expect(template).toMatchObject({ cpuCount: 1, memoryMB: 512, public: false })
    expect(await run('template', 'list')).toContain(name)
    const id = (await run('sandbox', 'create', '-d', name)).trim().split(/\s+/).at(-1)!
    expect(await run('sandbox', 'exec', id, 'cat', '/srv/copied')).toContain('hello from a file')
    await run('sandbox', 'kill', id)
    const templateId = template?.templateID as string
    await run('template', 'publish', '-y', templateId)
    expect(await listed()).toMatchObject({ public: true })
    await run('template', 'unpublish', '-y', templateId)
    expect(await listed()).toMatchObject({ public: false })
    await run('template', 'delete', '-y', templateId)
    expect(await listed()).toBeUndefined()
  })

  test('connect: a terminal in a sandbox, which outlives it', { timeout: 120_000 }, async () => {
    const id = (await run('sandbox', 'create', '-d', 'base')).trim().split(/\s+/).at(-1)!
    const terminal = openTerminal('sandbox', 'connect', id)
    await terminal.says(/[$#] $/)
    terminal.type('echo $((6 * 7))-is-the-answer\n')
    await terminal.says(/42-is-the-answer/)
    terminal.type('exit\n')
    expect(await terminal.closed).toBe(0)
    expect(await run('sandbox', 'info', id, '--format', 'json')).toContain('"state": "running"')
    await run('sandbox', 'kill', id)
  })

  test('create: a terminal whose sandbox lives as long as it does', { timeout: 120_000 }, async () => {
    const terminal = openTerminal('sandbox', 'create', 'base')
    const id = (await terminal.says(/\bi[a-z0-9]{20}\b/))[0]!
    await terminal.says(/[$#] $/)
    terminal.type('echo $((6 * 7))-is-the-answer\n')
    await terminal.says(/42-is-the-answer/)
    const endAt = async () => JSON.parse(await run('sandbox', 'info', id, '--format', 'json')).endAt
    const first = await endAt()
    await expect.poll(endAt, { timeout: 20_000, interval: 1_000 }).not.toBe(first)
    terminal.type('exit\n')
    await terminal.closed
    const listed = () => run('sandbox', 'list', '--format', 'json')
    await expect.poll(listed, { timeout: 20_000, interval: 500 }).not.toContain(id)
  })
})

/** A command on a pseudo-terminal. */
function openTerminal(...args: string[]) {
  const command = [process.execPath, cli, ...args].map((word) => `'${word}'`).join(' ')
  // Without a terminal around it a pseudo-terminal has no size.
  const child = spawn('script', ['-qec', `stty rows 24 cols 80; exec ${command}`, '/dev/null'], {
    cwd: home,
    env: environment(),
  })
  let printed = ''
  child.stdout.on('data', (text) => (printed += text))
  child.stderr.on('data', (text) => (printed += text))
  return {
    closed: new Promise((resolve) => child.once('close', resolve)),
    type: (text: string) => child.stdin.write(text),
    /** Waits until it has printed this, less what draws. */
    async says(wanted: RegExp): Promise<RegExpExecArray> {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what terminals draw with
      const plain = () => printed.replaceAll(/\u001b(\[[0-9;?]*[A-Za-z]|\][^\u0007]*\u0007)/g, '')
      await expect.poll(plain, { timeout: 30_000 }).toMatch(wanted)
      return wanted.exec(plain())!
    },
  }
}

/** What a command prints; rejects with it where the command fails. */
async function run(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: home,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  })
  let printed = ''
  child.stdout.on('data', (text) => (printed += text))
  child.stderr.on('data', (text) => (printed += text))
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`e2b ${args.join(' ')} ended with ${code}:\n${printed}`)
  return printed
}

function environment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    TERM: 'xterm-256color',
    NO_UPDATE_NOTIFIER: '1',
    NO_COLOR: '1',
    E2B_API_KEY: server.apiKey,
    E2B_API_URL: process.env.E2B_API_URL,
    E2B_SANDBOX_URL: process.env.E2B_SANDBOX_URL,
    E2B_DOMAIN: process.env.E2B_DOMAIN,
    NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS,
  }
}
