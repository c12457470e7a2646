/** The published SDKs against envd: what their users see. */
import { join } from 'node:path'
import { Readable } from 'node:stream'
import * as newest from 'e2b'
import * as oldest from 'e2b-2-20'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../tests/support/envd-server.ts'
import { createWaiter } from '../lib/waiter.ts'

const envdAccessToken = 'a-secret-of-this-test'

let agent: TestAgent
let server: EnvdServer

beforeAll(async () => {
  agent = await startAgent()
  server = await startEnvd(agent.guest, { accessToken: envdAccessToken })
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
})

describe.each([
  ['2.51', newest],
  ['2.20', oldest as unknown as typeof newest],
])('the SDK %s', (version, sdk) => {
  let sandbox: newest.Sandbox
  const at = (name: string) => join(agent.folder, version, name)

  beforeAll(() => {
    sandbox = new sdk.Sandbox({
      sandboxId: 'itest',
      envdVersion: '0.6.13',
      envdAccessToken,
      apiKey: `e2b_${'0'.repeat(40)}`,
      sandboxUrl: server.url,
    })
  })

  it('runs commands', async () => {
    const output: string[] = []
    const result = await sandbox.commands.run('echo $GREETING; echo oops >&2; id -un', {
      envs: { GREETING: 'hällo' },
      user: 'root',
      cwd: '/',
      onStdout: (data) => void output.push(data),
    })
    expect(result).toMatchObject({ exitCode: 0, stdout: 'hällo\nroot\n', stderr: 'oops\n' })
    expect(output.join('')).toBe('hällo\nroot\n')
    const failure = sandbox.commands.run('echo no >&2; exit 4')
    await expect(failure).rejects.toMatchObject({ name: 'CommandExitError', exitCode: 4, stderr: 'no\n' })
    await expect(sandbox.commands.run('sleep 60', { timeoutMs: 200 })).rejects.toThrow(sdk.TimeoutError)
    await expect(sandbox.commands.run('true', { user: 'x' })).rejects.toThrow("invalid username: 'x'")
    await expect(sandbox.commands.run('true', { cwd: '/x' })).rejects.toThrow("cwd '/x' does not exist")
  })

  it('feeds, follows and kills processes in the background', async () => {
    const command = await sandbox.commands.run('cat', { background: true, stdin: true })
    const processes = await sandbox.commands.list()
    expect(processes.map(({ pid }) => pid)).toContain(command.pid)
    const follower = await sandbox.commands.connect(command.pid)
    await sandbox.commands.sendStdin(command.pid, 'to both')
    await sandbox.commands.closeStdin(command.pid)
    expect((await command.wait()).stdout).toBe('to both')
    expect((await follower.wait()).stdout).toBe('to both')

    const sleeper = await sandbox.commands.run('sleep 60', { background: true })
    expect(await sandbox.commands.kill(sleeper.pid)).toBe(true)
    await expect(sleeper.wait()).rejects.toThrow('signal: killed')
    expect(await sandbox.commands.kill(sleeper.pid)).toBe(false)
    await expect(sandbox.commands.connect(999_999)).rejects.toThrow('process with pid 999999 not found')
  })

  it('uses terminals', async () => {
    let output = ''
    const terminal = await sandbox.pty.create({
      cols: 80,
      rows: 24,
      onData: (data) => {
        output += new TextDecoder().decode(data)
      },
    })
    await sandbox.pty.resize(terminal.pid, { cols: 91, rows: 31 })
    await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode('stty size; exit\n'))
    expect((await terminal.wait()).exitCode).toBe(0)
    expect(output).toContain('31 91')
  })

  it('writes and reads files', async () => {
    const written = await sandbox.files.write(at('a/ö.txt'), 'text')
    expect(written).toMatchObject({ name: 'ö.txt', path: at('a/ö.txt'), type: 'file' })
    expect(await sandbox.files.read(at('a/ö.txt'))).toBe('text')
    const several = await sandbox.files.write([
      { path: at('a/1'), data: 'one' },
      { path: at('a/2'), data: new Blob(['two']) },
      { path: at('a/3'), data: new TextEncoder().encode('').buffer },
    ])
    expect(several.map(({ path }) => path)).toEqual([at('a/1'), at('a/2'), at('a/3')])
    expect(await sandbox.files.read(at('a/2'), { format: 'bytes' })).toEqual(new TextEncoder().encode('two'))
    for (const format of ['text', 'bytes', 'blob', 'stream'] as const) {
      const empty = await sandbox.files.read(at('a/3'), { format: format as 'text' })
      expect(await new Response(empty).text()).toBe('')
    }
    const stream = Readable.toWeb(Readable.from([Buffer.from('stream'), Buffer.from('ed')])) as ReadableStream
    await sandbox.files.write(at('streamed'), stream)
    expect(await new Response(await sandbox.files.read(at('streamed'), { format: 'stream' })).text()).toBe(
      'streamed',
    )
    await sandbox.files.write(at('zipped'), 'z'.repeat(100_000), { gzip: true })
    expect(await sandbox.files.read(at('zipped'), { gzip: true })).toBe('z'.repeat(100_000))
    await expect(sandbox.files.read(at('missing'))).rejects.toThrow(`path '${at('missing')}' does not exist`)
    await expect(sandbox.files.read(agent.folder)).rejects.toThrow(sdk.InvalidArgumentError)
  })

  it('manages files', async () => {
    expect(await sandbox.files.makeDir(at('tree/b'))).toBe(true)
    expect(await sandbox.files.makeDir(at('tree/b'))).toBe(false)
    await sandbox.files.write(at('tree/a'), 'x')
    const entries = await sandbox.files.list(at('tree'), { depth: 2 })
    expect(entries.map(({ name, type }) => [name, type])).toEqual([
      ['a', 'file'],
      ['b', 'dir'],
    ])
    expect((await sandbox.files.rename(at('tree/a'), at('tree/c'))).path).toBe(at('tree/c'))
    expect(await sandbox.files.getInfo(at('tree/c'))).toMatchObject({
      size: 1,
      mode: 0o644,
      permissions: '-rw-r--r--',
    })
    await sandbox.files.remove(at('tree/c'))
    expect(await sandbox.files.exists(at('tree/c'))).toBe(false)
    await expect(sandbox.files.list(at('none'))).rejects.toThrow(sdk.NotFoundError)
  })

  it('watches directories', async () => {
    await sandbox.files.makeDir(at('watched'))
    const events: newest.FilesystemEvent[] = []
    const { wait, wake } = createWaiter()
    const watch = await sandbox.files.watchDir(
      at('watched'),
      (event) => {
        events.push(event)
        wake()
      },
      { recursive: true },
    )
    const told = async (count: number) => {
      while (events.length < count) await wait()
      return events.splice(0).map(({ type, name }) => `${type} ${name}`)
    }
    await sandbox.files.write(at('watched/a'), 'x')
    expect(await told(3)).toEqual(['create a', 'chmod a', 'write a'])
    await sandbox.files.rename(at('watched/a'), at('watched/b'))
    expect(await told(2)).toEqual(['rename a', 'create b'])
    await sandbox.files.remove(at('watched/b'))
    expect(await told(1)).toEqual(['remove b'])
    await watch.stop()
    await expect(sandbox.files.watchDir(at('none'), () => {})).rejects.toThrow(sdk.NotFoundError)
    const file = sandbox.files.watchDir('/etc/passwd', () => {})
    await expect(file).rejects.toThrow(sdk.InvalidArgumentError)
  })

  it('signs URLs', async () => {
    await sandbox.files.write(at('shared'), 'for all')
    const url = await sandbox.downloadUrl(at('shared'), { useSignatureExpiration: 60 })
    expect(await (await fetch(url)).text()).toBe('for all')
    const expired = await fetch(await sandbox.downloadUrl(at('shared'), { useSignatureExpiration: -60 }))
    expect(await expired.json()).toEqual({ code: 401, message: 'signature is already expired' })
    const form = new FormData()
    form.append('file', new Blob(['new']), at('uploaded'))
    const upload = await fetch(await sandbox.uploadUrl(), { method: 'POST', body: form })
    expect(await upload.json()).toEqual([{ name: 'uploaded', path: at('uploaded'), type: 'file' }])
  })

  it('sees that the sandbox runs', async () => {
    expect(await sandbox.isRunning()).toBe(true)
  })
})
