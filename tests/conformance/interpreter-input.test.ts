/** What is asked of the code interpreter, or done to it from inside, that must harm nothing beside it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Sandbox } from '@e2b/code-interpreter'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { residentBytesOfServer } from '../support/server.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

const timeout = 180_000
const megabyte = 2 ** 20
const patience = { timeout: 60_000, interval: 200 }
/** All of it with `--deep`. */
const isDeep = process.env.E2B_INTERPRETER_DEEP === '1'

let server: SharedServer
let sandbox: Sandbox
beforeAll(async () => {
  server = await joinSharedServer()
  sandbox = await Sandbox.create({ timeoutMs: 600_000 })
}, timeout)
afterAll(async () => {
  await sandbox.kill()
  await server[Symbol.asyncDispose]()
})

const asRoot = async (command: string) =>
  (await sandbox.commands.run(command, { user: 'root' })).stdout.trim()
const serverKb = async (what: 'VmRSS' | 'VmHWM') =>
  Number(await asRoot(`awk '/^${what}/ { print $2 }' /proc/$(pgrep -f '[u]vicorn main:app')/status`))

const processes = async () => Number(await asRoot('ps -e | wc -l'))

const request = (body: string) => ({
  ...{ method: 'POST', body },
  headers: {
    'content-type': 'application/json',
    'e2b-sandbox-id': sandbox.sandboxId,
    'e2b-sandbox-port': '49999',
  },
})

/** What the sandbox's server answers to a request that no SDK makes. */
async function ask(path: string, body: string) {
  const answer = await fetch(`${server.sandboxUrl}${path}`, request(body))
  return { status: answer.status, text: await answer.text() }
}

test('requests that are none', { timeout }, async () => {
  for (const body of ['', '{', '[]', 'null', '{"code": 1}', '{}', '{"code": "1", "language": 7}'])
    expect(await ask('/execute', body), body).toMatchObject({ status: 422 })
  for (const variables of ['[]', '{"A": 1}', '{"A": "\\u0000"}', '{"A=B": "x"}'])
    expect(await ask('/execute', `{"code": "1", "env_vars": ${variables}}`), variables).toMatchObject({
      status: 422,
    })
  expect((await ask('/execute', '['.repeat(100_000))).status).toBe(422)
  expect((await ask('/execute', JSON.stringify({ code: 'x'.repeat(65 * megabyte) }))).status).toBe(413)
  expect(await ask('/execute', '{"code": "1", "language": "cobol"}')).toEqual({
    status: 500,
    text: "Failed to create context: there is no kernel for the language 'cobol'",
  })
  expect(await ask('/execute', '{"code": "1", "language": "../../python"}')).toMatchObject({ status: 500 })
  expect(await ask('/execute', '{"code": "1", "context_id": "nobody"}')).toEqual({
    status: 404,
    text: 'Context nobody not found',
  })
  expect(await ask('/contexts', '{"cwd": "/etc/passwd"}')).toMatchObject({ status: 500 })
  expect((await ask('/nowhere', '')).status).toBe(404)
  expect((await sandbox.runCode('6 * 7')).text).toBe('42')
})

test('a hundred megabytes of output pass through, and nothing holds them', { timeout }, async () => {
  const count = isDeep ? 100 : 25
  const { pid } = JSON.parse(readFileSync(join(server.stateDir, 'server.json'), 'utf8')) as { pid: number }
  const before = residentBytesOfServer(pid)
  let most = 0
  let length = 0
  const { text, error } = await sandbox.runCode(`for _ in range(${count}): print("x" * 1_000_000)\n"end"`, {
    timeoutMs: 0,
    onStdout: ({ line }) => {
      length += line.length
      most = Math.max(most, residentBytesOfServer(pid))
    },
  })
  expect([error, text, length]).toEqual([undefined, 'end', count * 1_000_001])
  // Less than what passes, where that is a hundred.
  expect(most - before).toBeLessThan(90 * megabyte)
  expect(await serverKb('VmHWM')).toBeLessThan(256 * 1024)
})

test('code that forks without end ends when its client leaves; other contexts go on', {
  timeout,
}, async () => {
  await sandbox.runCode('kept = 7')
  const context = await sandbox.createCodeContext()
  // Those of the smaller one cost little while they are there.
  const code = isDeep
    ? 'import os\nprint("forks", flush=True)\nwhile True:\n  try: os.fork()\n  except OSError: pass'
    : `
import subprocess, time
for _ in range(300): subprocess.Popen(["sleep", "3600"])
print("forks")
while True:
  try: time.sleep(3600)
  except BaseException: pass`
  const client = new AbortController()
  const answer = await fetch(`${server.sandboxUrl}/execute`, {
    ...request(JSON.stringify({ code, context_id: context.id })),
    signal: client.signal,
  })
  const output = answer.body!.getReader()
  for (let chunk = await output.read(); !Buffer.from(chunk.value ?? []).includes('forks'); ) {
    expect(chunk.done).toBe(false)
    chunk = await output.read()
  }
  if (isDeep) await new Promise((resolve) => setTimeout(resolve, 5_000))
  else expect(await processes()).toBeGreaterThan(300)
  client.abort()
  await vi.waitFor(async () => expect((await sandbox.runCode('kept')).text).toBe('7'), patience)
  expect((await sandbox.runCode('1 + 1', { context })).text).toBe('2')
  await vi.waitFor(async () => expect(await processes()).toBeLessThan(50), patience)
  await sandbox.removeCodeContext(context)
})

test('what a kernel has started goes with it', { timeout }, async () => {
  const code = `
import os, subprocess
subprocess.Popen(["sleep", "98765"])
os.kill(os.getpid(), 9)`
  expect((await sandbox.runCode(code)).error?.name).toBe('ContextRestarting')
  const left = async () => (await sandbox.commands.run('pgrep -fc "[s]leep 98765" || true')).stdout.trim()
  await vi.waitFor(async () => expect(await left()).toBe('0'), patience)
})

test('a copy of the kernel ends with the code that made it', { timeout }, async () => {
  const code = 'import os\nif (pid := os.fork()): os.waitpid(pid, 0)\nprint("parent" if pid else "child")'
  const { logs, error } = await sandbox.runCode(code)
  expect([error, logs.stdout.join('')]).toEqual([undefined, 'child\nparent\n'])
})

test('files that kernels are reached by, made of, or copied from may be overwritten', {
  timeout,
}, async () => {
  const overwritten = await sandbox.runCode(`
import glob, os, shutil
for name in glob.glob('/run/code-interpreter/*'):
  with open(name, 'w') as file: file.write('{')
shutil.rmtree('/run/code-interpreter')
'kept'`)
  expect(overwritten.text).toBe('kept')
  expect((await sandbox.runCode('6 * 7')).text).toBe('42')
  const [own] = await sandbox.listCodeContexts()
  await sandbox.restartCodeContext(own!)
  expect((await sandbox.runCode('6 * 7')).text).toBe('42')

  for (const file of [
    '/usr/local/share/jupyter/kernels/python3/kernel.json',
    '/opt/code-interpreter/kernel/code_interpreter_kernel/app.py',
  ]) {
    await sandbox.runCode(`name = '${file}'\nbefore = open(name).read()\nopen(name, 'w').write('{')`)
    expect(await ask('/contexts', '{}')).toMatchObject({
      status: 500,
      text: expect.stringMatching(/^Failed to create context: the kernel 'python' did not start/),
    })
    // What runs goes on, and has what was there put back.
    expect((await sandbox.runCode(`open(name, 'w').write(before) == len(before)`)).text).toBe('True')
    const context = await sandbox.createCodeContext()
    expect((await sandbox.runCode('6 * 7', { context })).text).toBe('42')
    await sandbox.removeCodeContext(context)
  }
})

test('packages that were installed are what the next kernel has', { timeout }, async () => {
  const place = '/usr/local/lib/python3.11/dist-packages'
  await asRoot(`mkdir ${place}/late && echo 'WORD = "first"' > ${place}/late/__init__.py`)
  const context = await sandbox.createCodeContext()
  expect((await sandbox.runCode('import late; late.WORD', { context })).text).toBe('first')
  // Of a module that each kernel has imported before its first line.
  await asRoot(`sed -i '1i OWN_MARK = "newer"' ${place}/ipykernel/zmqshell.py`)
  await sandbox.restartCodeContext(context)
  expect((await sandbox.runCode('import ipykernel.zmqshell as z; z.OWN_MARK', { context })).text).toBe(
    'newer',
  )
  await sandbox.removeCodeContext(context)
})

test('kernels and what they are copied from killed: contexts come back', { timeout }, async () => {
  await asRoot(`pkill -9 -f '[l]aunch.py'`)
  await vi.waitFor(async () => expect((await sandbox.runCode('40 + 2')).text).toBe('42'), patience)
})
