/** Stock templates of an operator's recipes, from the first who asks for one to the last that is freed. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { holdingsOf } from '../support/holdings.ts'
import { pointSdksAt } from '../support/mode.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const program = join(import.meta.dirname, '../../scripts/e2b-server.mjs')
const folder = mkdtempSync(join(tmpdir(), 'e2b-stock-'))
/** Of this run alone, as what was built is found again */
const run = randomUUID().slice(0, 8)
const [tiny, failing, slow] = [`tiny-${run}-v1`, `failing-${run}`, `slow-${run}`]
const flags = ['--stock-dir', folder]
const timeout = 240_000
const built = { timeout: 180_000, interval: 500 }

function recipe(name: string, dockerfile: string, more: object = {}) {
  mkdirSync(join(folder, name), { recursive: true })
  const template = { names: [name, name.replace(/-v1$/, '')], cpuCount: 1, memoryMb: 512, ...more }
  const names = [...new Set(template.names)]
  writeFileSync(join(folder, name, 'template.json'), JSON.stringify({ ...template, names }))
  writeFileSync(join(folder, name, 'Dockerfile'), dockerfile)
}

let server: TestServer
beforeAll(async () => {
  recipe(tiny, 'FROM base\nCOPY hello.txt /opt/\nENV GREETING=hello\nRUN sleep 2; cat /opt/hello.txt', {
    startCommand: 'echo started > /tmp/started; sleep infinity',
    readyCommand: 'test -f /tmp/started',
  })
  writeFileSync(join(folder, tiny, 'hello.txt'), 'from the recipe')
  recipe(failing, 'FROM base\nRUN echo oh dear; exit 41')
  recipe(slow, 'FROM base\nRUN echo it has begun; sleep 600')
  server = await startTestServer({ flags })
})
afterAll(async () => {
  // That of the build that was killed, which the server would end with its second look, half a minute after its start.
  await (await holdingsOf(server.stateDir)).removeGuests()
  await server[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
}, timeout)

/** What the command line answers, of the server that runs. */
async function cli(...args: string[]) {
  const command = [program, 'templates', ...args, '--state-dir', server.stateDir]
  return promisify(execFile)(process.execPath, command).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) =>
      ({ code, stdout, stderr }) as { code: number; stdout: string; stderr: string },
  )
}

const lineOf = async (name: string) =>
  (await cli('list')).stdout.split('\n').find((line) => line.startsWith(`${name} `))

/** What the API answers to a create. */
async function ask(template: string) {
  const answer = await fetch(`${server.url}/v2/sandboxes`, {
    method: 'POST',
    headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
    body: JSON.stringify({ templateID: template }),
  })
  const { sandboxID, message } = (await answer.json()) as { sandboxID?: string; message?: string }
  if (sandboxID !== undefined) await Sandbox.kill(sandboxID)
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), message }
}

async function images(name: string): Promise<string[]> {
  return await (await holdingsOf(server.stateDir)).named(`e2b-server/${name}`)
}

test('two who ask first are told that it is being built, and by any of its names it is there then', {
  timeout,
}, async () => {
  expect(await lineOf(tiny)).toContain('not built')
  const first = await Promise.all([ask(tiny), ask(tiny.replace(/-v1$/, ''))])
  for (const answer of first) {
    expect(answer).toMatchObject({ status: 503, retryAfter: '10' })
    expect(answer.message).toMatch(new RegExp(`"${tiny}" is being built`))
  }
  await expect.poll(async () => (await ask(tiny)).message, { ...built, interval: 50 }).toMatch(/step \d of 7/)
  await expect(Sandbox.create(tiny)).rejects.toThrow(/temporarily unavailable.*is being built/)
  await expect.poll(() => ask(tiny), built).toMatchObject({ status: 201 })
  expect(await images(tiny)).toHaveLength(1)
  for (const name of [tiny, tiny.replace(/-v1$/, ''), `e2b/${tiny}`]) {
    const sandbox = await Sandbox.create(name)
    const said = await sandbox.commands.run('echo $GREETING; cat /opt/hello.txt; cat /tmp/started')
    expect(said.stdout).toBe('hello\nfrom the recipestarted\n')
    await sandbox.kill()
  }
  expect((await cli('build', tiny)).stdout).toContain('built already')
  expect((await cli('log', tiny)).stdout).toContain('[stdout]: from the recipe')
})

test('a recipe that fails says so to whoever asks, and to the operator with its log', {
  timeout,
}, async () => {
  expect(await ask(failing)).toMatchObject({ status: 503 })
  await expect.poll(() => ask(failing), built).toMatchObject({ status: 412, retryAfter: null })
  expect((await ask(failing)).message).toMatch(/exit status 41.*templates log/)
  expect(await lineOf(failing)).toMatch(/ {2}failed {2}.*exit status 41/)
  expect((await cli('log', failing)).stdout).toContain('oh dear')
  const again = await cli('build', failing)
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('exit status 41') })
  expect(await images(failing)).toEqual([])
})

test('a server that is killed in the middle begins again with the next who asks', { timeout }, async () => {
  expect(await ask(slow)).toMatchObject({ status: 503 })
  await expect.poll(async () => (await cli('log', slow)).stdout, built).toContain('[stdout]: it has begun')
  await server.end('SIGKILL')
  recipe(slow, 'FROM base\nRUN echo it is quick now')
  await server.restart()
  expect(await lineOf(slow)).toContain('The server ended while this build ran')
  expect(await ask(slow)).toMatchObject({ status: 503 })
  await expect.poll(() => ask(slow), built).toMatchObject({ status: 201 })
  // What was there before still is.
  expect(await ask(tiny)).toMatchObject({ status: 201 })
})

test('another server on the machine has it from its start; freeing leaves it, deleting does not', {
  timeout,
}, async () => {
  {
    await using other = await startTestServer({ flags })
    await (await Sandbox.create(tiny)).kill()
    expect(other.url).not.toBe(server.url)
  }
  pointSdksAt(server.url, server.apiKey)
  expect((await cli('gc', '--all')).stdout).toContain(', 0 stock images, ')
  const sandbox = await Sandbox.create(tiny)
  expect((await cli('delete', tiny)).stderr).toContain('sandboxes that use it')
  await sandbox.kill()
  for (const name of [tiny, slow, failing])
    expect(await cli('delete', name)).toMatchObject({ code: 0, stderr: '' })
  for (const name of [tiny, slow, failing]) expect(await images(name)).toEqual([])
  expect(await lineOf(tiny)).toContain('not built')
})
