/** `kill -9` of a data worker costs its connections, and nothing else. */
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ flags: ['--data-workers', '2'] })
})
afterAll(() => server[Symbol.asyncDispose]())

test('in the middle of 50 commands and 20 uploads: all commands are found again, with their output', async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 300_000 })
  await sandbox.commands.run('mkfifo /tmp/go')
  // Each waits for a writer, without any work, so that all of them are under way when the worker goes.
  const script = (i: number) => `echo begin ${i}; : < /tmp/go; echo end ${i}`
  const commands = await Promise.all(
    Array.from({ length: 50 }, (_, i) => sandbox.commands.run(script(i), { background: true, timeoutMs: 0 })),
  )
  const waits = commands.map((command) => command.wait().catch(() => undefined))
  const body = 'x'.repeat(4_000_000)
  const uploads = Array.from({ length: 20 }, (_, i) =>
    sandbox.files.write(`/tmp/up-${i}`, body).then(() => i),
  )
  const [victim] = server.dataWorkers()
  process.kill(victim!, 'SIGKILL')
  const uploaded = await Promise.allSettled(uploads)

  await expect.poll(() => server.dataWorkers(), { timeout: 20_000 }).toHaveLength(2)
  expect(server.dataWorkers()).not.toContain(victim)
  // What was answered is whole.
  for (const upload of uploaded) {
    if (upload.status === 'fulfilled')
      expect((await sandbox.files.getInfo(`/tmp/up-${upload.value}`)).size).toBe(body.length)
  }
  expect((await sandbox.commands.list()).map(({ pid }) => pid).sort()).toEqual(
    commands.map(({ pid }) => pid).sort(),
  )
  const found = await Promise.all(
    commands.map(async ({ pid }) => {
      let output = ''
      const onStdout = (text: string) => {
        output += text
      }
      const again = await sandbox.commands.connect(pid, { onStdout })
      return { again, output: () => output }
    }),
  )
  await sandbox.commands.run(': > /tmp/go')
  const outcomes = await Promise.all(found.map(({ again }) => again.wait()))
  expect(outcomes.map(({ exitCode }) => exitCode)).toEqual(commands.map(() => 0))
  expect(found.map(({ output }) => output())).toEqual(
    commands.map((_, i) => expect.stringContaining(`end ${i}`)),
  )
  await Promise.all(waits)

  // The log knows of each its start and its end, whichever worker saw which.
  const ended = async () => {
    const response = await fetch(`${server.url}/v2/sandboxes/${sandbox.sandboxId}/logs?limit=1000`, {
      headers: { 'x-api-key': server.apiKey },
    })
    const { logs } = (await response.json()) as { logs: { message: string; fields: { pid?: string } }[] }
    const pids = logs.flatMap(({ message, fields }) =>
      message === 'process ended' ? Number(fields.pid) : [],
    )
    return commands.every(({ pid }) => pids.includes(pid))
  }
  await expect.poll(ended, { timeout: 20_000 }).toBe(true)
  await sandbox.kill()
})

test('all of them at once: new connections wait for one that is started again', async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 300_000 })
  const command = await sandbox.commands.run('sleep 1000', { background: true, timeoutMs: 0 })
  const lost = command.wait().catch((error) => error)
  for (const pid of server.dataWorkers()) process.kill(pid, 'SIGKILL')
  expect(await lost).toBeInstanceOf(Error)
  const health = await fetch(`${server.url}/health`, { signal: AbortSignal.timeout(30_000) })
  expect(health.status).toBe(200)
  expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(command.pid)
  expect(await sandbox.kill()).toBe(true)
  expect(await sandbox.isRunning()).toBe(false)
})

test('they end with the server, also when that is killed', async () => {
  const before = server.dataWorkers()
  expect(before).toHaveLength(2)
  await server.end('SIGKILL')
  await expect.poll(() => before.filter(isAlive), { timeout: 10_000 }).toEqual([])
  await server.restart()
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
