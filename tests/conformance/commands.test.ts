import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(sdks)('e2b $version: commands', ({ sdk }) => {
  const { CommandExitError, TimeoutError, NotFoundError, InvalidArgumentError, AuthenticationError } = sdk
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 600_000 })
  })
  afterAll(() => sandbox.kill())

  test('run: output, exit code, both streams', proves('commands.run'), async () => {
    const result = await sandbox.commands.run('echo out; echo err >&2')
    expect(result).toMatchObject({ stdout: 'out\n', stderr: 'err\n', exitCode: 0 })
  })

  test('a non-zero exit throws with code and output', proves('commands.run'), async () => {
    const error = await sandbox.commands.run('echo partial; exit 7').catch((thrown) => thrown)
    expect(error).toBeInstanceOf(CommandExitError)
    expect(error).toMatchObject({ exitCode: 7, stdout: 'partial\n', error: 'exit status 7' })
  })

  test('an unknown command exits 127', async () => {
    const error = await sandbox.commands.run('no-such-command-here').catch((thrown) => thrown)
    expect(error).toMatchObject({ exitCode: 127 })
    expect(error.stderr).toContain('command not found')
  })

  test('a missing cwd and an unknown user are refused by name', async () => {
    await expect(sandbox.commands.run('pwd', { cwd: '/nowhere' })).rejects.toThrow(InvalidArgumentError)
    await expect(sandbox.commands.run('pwd', { cwd: '/nowhere' })).rejects.toThrow(
      "cwd '/nowhere' does not exist",
    )
    await expect(sandbox.commands.run('id', { user: 'nobody-here' })).rejects.toThrow(AuthenticationError)
  })

  test('user, home and working directory', proves('commands.run'), async () => {
    expect((await sandbox.commands.run('whoami; pwd; echo $HOME')).stdout).toBe(
      'user\n/home/user\n/home/user\n',
    )
    expect((await sandbox.commands.run('whoami; pwd', { user: 'root' })).stdout).toBe('root\n/root\n')
    expect((await sandbox.commands.run('pwd', { cwd: '/usr/lib' })).stdout).toBe('/usr/lib\n')
    expect((await sandbox.commands.run('sudo whoami')).stdout).toBe('root\n')
  })

  test('no raw sockets, even as root: they would reach the neighbours’ traffic; ping needs none', async () => {
    const sniff = 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'
    const error = await sandbox.commands.run(`sudo python3 -c "${sniff}"`).catch((thrown) => thrown)
    expect(error.stderr).toContain('PermissionError')
    expect((await sandbox.commands.run('ping -c 1 127.0.0.1')).stdout).toContain('1 received')
  })

  test('background, list, kill', proves('commands.list', 'commands.kill', 'commandHandle.wait'), async () => {
    const command = await sandbox.commands.run('sleep 300', { background: true })
    const listed = await sandbox.commands.list()
    expect(listed.find(({ pid }) => pid === command.pid)).toMatchObject({
      cmd: '/bin/bash',
      args: ['-l', '-c', 'sleep 300'],
    })
    expect(await sandbox.commands.kill(command.pid)).toBe(true)
    await expect(command.wait()).rejects.toThrow(CommandExitError)
    await expect(sandbox.commands.run(`kill -0 ${command.pid}`)).rejects.toThrow(CommandExitError)
    expect(await sandbox.commands.kill(999_999)).toBe(false)
    expect((await sandbox.commands.list()).map(({ pid }) => pid)).not.toContain(command.pid)
  })

  test(
    'connect sees what comes later, and the exit',
    proves('commands.connect', 'commands.sendStdin', 'commandHandle.disconnect', 'commandHandle.wait'),
    async () => {
      const command = await sandbox.commands.run('read line; echo late $line', {
        background: true,
        stdin: true,
      })
      await command.disconnect()
      const again = await sandbox.commands.connect(command.pid)
      await sandbox.commands.sendStdin(command.pid, 'x\n')
      expect(await again.wait()).toMatchObject({ stdout: 'late x\n', exitCode: 0 })
      await expect(sandbox.commands.connect(999_999)).rejects.toThrow(NotFoundError)
    },
  )

  test('stdin and its end', proves('commands.sendStdin', 'commands.closeStdin'), async () => {
    const command = await sandbox.commands.run('cat', { background: true, stdin: true })
    await sandbox.commands.sendStdin(command.pid, 'one\n')
    await sandbox.commands.sendStdin(command.pid, 'two\n')
    await sandbox.commands.closeStdin(command.pid)
    expect((await command.wait()).stdout).toBe('one\ntwo\n')
  })

  test('a handle’s kill, twice', proves('commandHandle.kill'), async () => {
    const command = await sandbox.commands.run('sleep 300', { background: true })
    expect(await command.kill()).toBe(true)
    await expect(command.wait()).rejects.toMatchObject({ exitCode: -1, error: 'signal: killed' })
    expect(command).toMatchObject({ exitCode: -1, error: 'signal: killed', stdout: '', stderr: '' })
    expect(await command.kill()).toBe(false)
  })

  test('without stdin a reader ends at once', async () => {
    expect((await sandbox.commands.run('cat')).exitCode).toBe(0)
  })

  test('a timeout ends the command with the SDK’s timeout error', proves('commands.run'), async () => {
    const begun = Date.now()
    await expect(sandbox.commands.run('sleep 30', { timeoutMs: 1_000 })).rejects.toThrow(TimeoutError)
    expect(Date.now() - begun).toBeLessThan(5_000)
    await expect
      .poll(async () => (await sandbox.commands.run('pgrep -c "^sleep$" || true')).stdout)
      .toBe('0\n')
  })

  test('output that is not text, or splits characters, arrives as one would decode it', async () => {
    const { stdout } = await sandbox.commands.run(`python3 -c "
import sys
sys.stdout.buffer.write(b'a' * 8191 + 'ü'.encode() + b'\\xff' + b'z')
"`)
    expect(stdout).toBe(`${'a'.repeat(8191)}ü\ufffdz`)
  })

  test('a lot of output arrives whole and in order', async () => {
    const { stdout } = await sandbox.commands.run('seq 1 200000')
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(200_000)
    expect(lines.every((line, i) => line === String(i + 1))).toBe(true)
  })

  test('output streams while the command runs', proves('commands.run'), async () => {
    const seen: string[] = []
    const { promise, resolve } = deferred<void>()
    const command = await sandbox.commands.run('echo first; read; echo second', {
      background: true,
      stdin: true,
      onStdout: (text) => {
        seen.push(text)
        resolve()
      },
    })
    await promise
    expect(seen).toEqual(['first\n'])
    await sandbox.commands.sendStdin(command.pid, '\n')
    await command.wait()
    expect(seen.join('')).toBe('first\nsecond\n')
  })

  test('fifty commands at once', async () => {
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => sandbox.commands.run(`echo ${i}`)))
    expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 50 }, (_, i) => `${i}\n`))
  })
})

describe.each(sdks)('e2b $version: pty', ({ sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 300_000 })
  })
  afterAll(() => sandbox.kill())

  test(
    'a terminal: input, size, resize, exit',
    proves('pty.create', 'pty.sendInput', 'pty.resize'),
    async () => {
      let screen = ''
      const bytes = new TextDecoder()
      const terminal = await sandbox.pty.create({
        cols: 80,
        rows: 24,
        timeoutMs: 30_000,
        onData: (data) => {
          screen += bytes.decode(data, { stream: true })
        },
      })
      const type = (text: string) => sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode(text))
      await type('stty size; tty; echo "$TERM"\n')
      await expect.poll(() => screen).toMatch(/24 80\r\n\/dev\/pts\/\d+\r\nxterm-256color/)
      await sandbox.pty.resize(terminal.pid, { cols: 100, rows: 40 })
      await type('stty size\n')
      await expect.poll(() => screen).toContain('40 100')
      await type('exit\n')
      expect((await terminal.wait()).exitCode).toBe(0)
    },
  )

  test('connect shows what comes later', proves('pty.connect'), async () => {
    const first = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => {} })
    await first.disconnect()
    let screen = ''
    const again = await sandbox.pty.connect(first.pid, {
      onData: (data) => {
        screen += new TextDecoder().decode(data)
      },
    })
    await sandbox.pty.sendInput(first.pid, new TextEncoder().encode('echo $((6*7)); exit\n'))
    expect((await again.wait()).exitCode).toBe(0)
    expect(screen).toContain('42\r\n')
  })

  test('a kill means the tree: children, and daemons whose parents have gone', async () => {
    const alive = async (seconds: string) =>
      (await sandbox.commands.run(`pgrep -f '^sleep ${seconds}$' | wc -l`)).stdout.trim()
    const tree = (seconds: string) =>
      `sleep ${seconds} & python3 -c "import subprocess; subprocess.run(['sleep', '${seconds}'])" & (setsid sleep ${seconds} &)`

    const command = await sandbox.commands.run(`${tree('7771')}; sleep 7771`, {
      background: true,
      timeoutMs: 0,
    })
    await expect.poll(() => alive('7771'), { timeout: 20_000 }).toBe('4')
    expect(await command.kill()).toBe(true)
    expect(await alive('7771')).toBe('0')

    const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => {}, timeoutMs: 0 })
    await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode(`${tree('7772')}\n`))
    await expect.poll(() => alive('7772'), { timeout: 20_000 }).toBe('3')
    expect(await sandbox.pty.kill(terminal.pid)).toBe(true)
    expect(await alive('7772')).toBe('0')

    await sandbox.commands.run(`(setsid sleep 7773 > /dev/null 2>&1 &)`)
    expect(await alive('7773')).toBe('1')
    await sandbox.commands.run('pkill -f "^sleep 7773$"')
  })

  test('kill ends it, and a second kill finds nothing', proves('pty.kill'), async () => {
    const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => {} })
    expect(await sandbox.pty.kill(terminal.pid)).toBe(true)
    await expect(terminal.wait()).rejects.toThrow(/signal: killed/)
    expect(await sandbox.pty.kill(terminal.pid)).toBe(false)
  })
})

describe.each(sdks.slice(0, 1))('e2b $version: commands, what newer releases add', ({ sdk }) => {
  test('a handle’s stdin', proves('commandHandle.sendStdin', 'commandHandle.closeStdin'), async () => {
    const sandbox = await sdk.Sandbox.create({ timeoutMs: 300_000 })
    const command = await sandbox.commands.run('cat', { background: true, stdin: true })
    await command.sendStdin('by handle\n')
    await command.sendStdin(new TextEncoder().encode('bytes\n'))
    await command.closeStdin()
    expect((await command.wait()).stdout).toBe('by handle\nbytes\n')
    await sandbox.kill()
  })
})

function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
