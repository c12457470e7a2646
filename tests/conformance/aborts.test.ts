/** Requests that end early: by the client's time limits and signals, and by the end of their sandbox. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** A file of which nobody writes the other end: opening it waits for ever. */
const fifo = 'mkfifo -m 666 /tmp/fifo-$$ && echo /tmp/fifo-$$'

describe.each(sdks)('e2b $version: time limits', ({ sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 600_000 })
  })
  afterAll(() => sandbox.kill())

  test('requestTimeoutMs doesn’t end a command that has begun', proves('commands.run'), async () => {
    const result = await sandbox.commands.run('sleep 1.5; echo done', { requestTimeoutMs: 1_000 })
    expect(result.stdout).toBe('done\n')
  })

  test('timeoutMs 0 is no limit', proves('commands.run'), async () => {
    expect((await sandbox.commands.run('sleep 0.2; echo done', { timeoutMs: 0 })).stdout).toBe('done\n')
  })

  test('a time limit on connect ends the connection only', proves('commands.connect'), async () => {
    const command = await sandbox.commands.run('read; echo lives', { background: true, stdin: true })
    const again = await sandbox.commands.connect(command.pid, { timeoutMs: 500 })
    await expect(again.wait()).rejects.toThrow(sdk.TimeoutError)
    await sandbox.commands.sendStdin(command.pid, '\n')
    expect((await command.wait()).stdout).toBe('lives\n')
  })

  test('a file that can’t be read at once is refused, not waited for', proves('files.read'), async () => {
    const path = (await sandbox.commands.run(fifo)).stdout.trim()
    await expect(sandbox.files.read(path, { requestTimeoutMs: 3_000 })).rejects.toThrow(
      sdk.InvalidArgumentError,
    )
  })

  test('three hundred commands at once', { ...proves('commands.run'), timeout: 120_000 }, async () => {
    const results = await Promise.all(
      Array.from({ length: 300 }, (_, i) => sandbox.commands.run(`echo ${i}`, { timeoutMs: 0 })),
    )
    expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 300 }, (_, i) => `${i}\n`))
    expect(await sandbox.commands.list()).toEqual([])
  })

  test('a command of a killed sandbox', proves('sandbox.kill', 'commandHandle.wait'), async () => {
    const doomed = await sdk.Sandbox.create()
    const command = await doomed.commands.run('sleep 60', { background: true })
    const outcome = command.wait().catch((thrown: Error) => thrown)
    await doomed.kill()
    const error = await outcome
    // Releases that don't ask after the sandbox's health show the broken connection.
    const explains = sdk === sdks[0]!.sdk
    expect(error).toBeInstanceOf(explains ? sdk.TimeoutError : sdk.SandboxError)
    expect((error as Error).message).toBe(
      explains
        ? '[unknown] terminated: The sandbox was killed or reached its end of life while the request was in flight.'
        : '2: [unknown] terminated',
    )
    const next = await doomed.commands.run('true').catch((thrown: Error) => thrown)
    expect(next).toBeInstanceOf(Error)
    expect((next as Error).message).toMatch(/sandbox/i)
    expect(await doomed.isRunning()).toBe(false)
  })
})

describe.each(sdks.slice(0, 1))('e2b $version: abort signals', ({ sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 300_000 })
  })
  afterAll(() => sandbox.kill())

  test('a signal ends the wait for a command, not the command', proves('commands.run'), async () => {
    const abort = new AbortController()
    const command = await sandbox.commands.run('sleep 300', { background: true, signal: abort.signal })
    abort.abort()
    await expect(command.wait()).rejects.toThrow()
    expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(command.pid)
    expect(await sandbox.commands.kill(command.pid)).toBe(true)
  })

  test('a signal ends an upload; the next one works', proves('files.write'), async () => {
    const abort = new AbortController()
    const endless = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(65_536))
        abort.abort()
      },
    })
    const upload = sandbox.files.write('cut', endless, { useOctetStream: true, signal: abort.signal })
    await expect(upload).rejects.toThrow()
    await sandbox.files.write('cut', 'whole')
    expect(await sandbox.files.read('cut')).toBe('whole')
  })

  test('an aborted signal asks nothing', proves('files.list'), async () => {
    await expect(sandbox.files.list('/', { signal: AbortSignal.abort() })).rejects.toThrow()
  })
})
