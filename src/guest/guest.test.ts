/** The operations against the real agent (tests/support/agent.ts). */
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import * as http from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../tests/support/agent.ts'
import { collect as collectAll, collectBatches } from '../../tests/support/collect.ts'
import { attach } from './attach.ts'
import { closeInput } from './close-input.ts'
import { configure } from './configure.ts'
import { dial } from './dial.ts'
import { type ExecRequest, exec } from './exec.ts'
import type { Guest } from './guest.ts'
import { hello } from './hello.ts'
import { input } from './input.ts'
import { list } from './list.ts'
import { listDir } from './list-dir.ts'
import { makeDir } from './make-dir.ts'
import { metrics } from './metrics.ts'
import { move } from './move.ts'
import type { ProcessEvent, ProcessStream } from './process-stream.ts'
import { read } from './read.ts'
import { remove } from './remove.ts'
import { resize } from './resize.ts'
import { shutdown } from './shutdown.ts'
import { signal } from './signal.ts'
import { stat } from './stat.ts'
import { write } from './write.ts'

const never = new AbortController().signal

let agent: TestAgent
let guest: Guest

beforeAll(async () => {
  agent = await startAgent()
  guest = agent.guest
})

afterAll(() => agent?.[Symbol.asyncDispose]())

const at = (name: string) => join(agent.folder, name)

function run(script: string, more: Partial<ExecRequest> = {}): Promise<ProcessStream> {
  return exec(guest, { cmd: '/bin/sh', args: ['-c', script], env: {}, stdin: false, ...more }, never)
}

async function collect({ events }: ProcessStream) {
  const output = { stdout: '', stderr: '', pty: '' }
  let last: ProcessEvent | undefined
  for await (const event of events) {
    last = event
    if (event.type !== 'end') output[event.type] += event.bytes.toString()
  }
  return { ...output, exit: last?.type === 'end' ? last.exit : undefined }
}

async function* bytesOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

describe('the agent', () => {
  it('says who it is', async () => {
    expect(await hello(guest, never)).toMatchObject({
      protocol: 1,
      boot: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  it('measures what the sandbox uses', async () => {
    const measured = await metrics(guest, never)
    expect(measured.cpuCount).toBeGreaterThan(0)
    expect(measured.memTotal).toBeGreaterThan(measured.memUsed)
    expect(Math.abs(measured.timestampMs - Date.now())).toBeLessThan(60_000)
  })

  it('takes configuration as a whole', async () => {
    await configure(guest, { env: { COLOR: 'red' }, sandboxId: 'i123' }, never)
    expect((await collect(await run('echo $COLOR $E2B_SANDBOX_ID'))).stdout).toBe('red i123\n')
    await configure(guest, {}, never)
    expect((await collect(await run('echo $COLOR'))).stdout).toBe('\n')
  })

  it('ends when it is told to', async () => {
    await using other = await startAgent()
    await shutdown(other.guest, 0, never)
    const gone = async () =>
      hello(other.guest, never).then(
        () => false,
        () => true,
      )
    await expect.poll(gone, { timeout: 5_000 }).toBe(true)
  })
})

describe('processes', () => {
  it('give their output and their end', async () => {
    const { stdout, stderr, exit } = await collect(await run('echo out; echo err >&2; exit 3'))
    expect([stdout, stderr]).toEqual(['out\n', 'err\n'])
    expect(exit).toEqual({
      exitCode: 3,
      exited: true,
      status: 'exit status 3',
      error: 'exit status 3',
      timedOut: false,
    })
  })

  it('have the environment, directory and user they are given', async () => {
    const process = await run('pwd; echo $A$B', { env: { A: '1', B: 'ä' }, cwd: agent.folder })
    expect((await collect(process)).stdout).toBe(`${agent.folder}\n1ä\n`)
    const cwd = run('true', { cwd: '/nowhere' })
    await expect(cwd).rejects.toMatchObject({
      code: 'invalid_argument',
      message: "cwd '/nowhere' does not exist",
    })
    const user = run('true', { user: 'x' })
    await expect(user).rejects.toMatchObject({ code: 'unauthenticated', message: "invalid username: 'x'" })
  })

  it('are killed when their time is up', async () => {
    const { exit } = await collect(await run('sleep 60', { timeoutMs: 50 }))
    expect(exit).toMatchObject({ exitCode: -1, status: 'signal: killed', timedOut: true })
  })

  it('are listed, fed, followed by several and killed', async () => {
    const first = await run('cat', { stdin: true, tag: 'feline' })
    const second = await attach(guest, { tag: 'feline' }, never)
    expect(second.pid).toBe(first.pid)
    const listed = (await collectAll(await list(guest, never))).find(({ pid }) => pid === first.pid)
    expect(listed).toMatchObject({ cmd: '/bin/sh', args: ['-c', 'cat'], tag: 'feline' })

    await input(guest, { process: { pid: first.pid }, kind: 'stdin' }, bytesOf('a', '', 'b\n'), never)
    expect((await second.events.next()).value).toMatchObject({ type: 'stdout' })
    await signal(guest, { tag: 'feline' }, 'SIGKILL', never)
    for (const follower of [first, second]) {
      expect((await collect(follower)).exit).toMatchObject({ exitCode: -1, status: 'signal: killed' })
    }
  })

  it('read until their input is closed', async () => {
    const process = await run('cat; echo done', { stdin: true })
    const long = Buffer.alloc(1_000_000, 'x')
    const output = collect(process)
    await input(guest, { process, kind: 'stdin' }, bytesOf(long), never)
    await closeInput(guest, { pid: process.pid }, never)
    const { stdout } = await output
    expect(stdout.length).toBe(long.length + 'done\n'.length)
  })

  it('run on a terminal of a given size', async () => {
    const process = await run('read line; stty size', { pty: { cols: 80, rows: 24 } })
    await resize(guest, { pid: process.pid }, { cols: 100, rows: 30 }, never)
    await input(guest, { process: { pid: process.pid }, kind: 'pty' }, bytesOf('\n'), never)
    expect((await collect(process)).pty).toContain('30 100')
  })

  it('are not found when they are not there', async () => {
    const message = 'process with pid 999999 not found'
    const missing = { pid: 999_999 }
    await expect(attach(guest, missing, never)).rejects.toMatchObject({ code: 'not_found', message })
    await expect(signal(guest, missing, 'SIGTERM', never)).rejects.toMatchObject({
      code: 'not_found',
      message,
    })
    const target = { process: missing, kind: 'stdin' } as const
    const long = bytesOf(Buffer.alloc(4_000_000))
    await expect(input(guest, target, long, never)).rejects.toMatchObject({ code: 'not_found', message })
  })

  it('live on when nobody follows them', async () => {
    const { pid, events } = await run('sleep 0.1; echo alive > "$F"', { env: { F: at('alive') } })
    await events.return?.()
    await expect.poll(() => readFile(at('alive'), 'utf8').catch(() => ''), { timeout: 5_000 }).toBe('alive\n')
    expect(pid).toBeGreaterThan(0)
  })
})

describe('files', () => {
  it('are written, described, read and removed', async () => {
    const path = at('new/dir/ä b.txt')
    const written = await write(
      guest,
      { path, metadata: { author: 'me' } },
      bytesOf('hello ', 'world'),
      never,
    )
    expect(written.path).toBe(path)
    expect(written.entry).toMatchObject({ name: 'ä b.txt', type: 'file', size: 11, mode: 0o644 })
    expect(await readFile(path, 'utf8')).toBe('hello world')

    const { entry, body } = await read(guest, { path }, never)
    expect(entry).toEqual(await stat(guest, { path }, never))
    expect(await text(body)).toBe('hello world')
    expect(await text((await read(guest, { path, offset: 6, length: 3 }, never)).body)).toBe('wor')
    expect(await text((await read(guest, { path, offset: 0, length: 0 }, never)).body)).toBe('')

    await remove(guest, { path: at('new') }, never)
    const missing = `path '${path}' does not exist`
    await expect(stat(guest, { path }, never)).rejects.toMatchObject({ code: 'not_found', message: missing })
    await expect(read(guest, { path }, never)).rejects.toMatchObject({ code: 'not_found', message: missing })
    await remove(guest, { path }, never)
  })

  it('keep every byte of a large one', async () => {
    const chunk = Buffer.from(Array.from({ length: 100_003 }, (_, index) => index % 251))
    const chunks = Array.from({ length: 50 }, () => chunk)
    await write(guest, { path: at('large') }, bytesOf(...chunks), never)
    const pieces: Buffer[] = []
    for await (const piece of (await read(guest, { path: at('large') }, never)).body) pieces.push(piece)
    expect(Buffer.concat(pieces).equals(Buffer.concat(chunks))).toBe(true)
  })

  it('of the kernel are read to their end', async () => {
    const { entry, body } = await read(guest, { path: '/proc/self/status' }, never)
    expect(entry.size).toBe(0)
    expect(await text(body)).toContain('Pid:')
  })

  it('refuse what is no file, however much is being sent', async () => {
    const endless = (async function* () {
      for (;;) yield Buffer.alloc(65_536)
    })()
    const isDirectory = { code: 'invalid_argument', errno: 'EISDIR' }
    await expect(write(guest, { path: agent.folder }, endless, never)).rejects.toMatchObject(isDirectory)
    await expect(read(guest, { path: agent.folder }, never)).rejects.toMatchObject(isDirectory)
  })

  it('pass on what the source throws', async () => {
    const failing = (async function* () {
      yield Buffer.from('x')
      throw new RangeError('source')
    })()
    await expect(write(guest, { path: at('cut') }, failing, never)).rejects.toThrow(RangeError)
  })

  it('say which directories are there', async () => {
    await makeDir(guest, { path: at('tree/b') }, never)
    await expect(makeDir(guest, { path: at('tree/b') }, never)).rejects.toMatchObject({ code: 'conflict' })
    await mkdir(at('tree/a'))
    await writeFile(at('tree/a/file'), '')
    await symlink('missing', at('tree/link'))
    const all = await collectBatches(await listDir(guest, { path: at('tree'), depth: 2 }, never))
    expect(all.map(({ path }) => path.slice(at('tree/').length))).toEqual(['a', 'a/file', 'b', 'link'])
    expect(all.map(({ type }) => type)).toEqual(['directory', 'file', 'directory', 'unspecified'])
    const moved = await move(guest, { source: at('tree/a'), destination: at('other/place') }, never)
    expect(moved.path).toBe(at('other/place'))
    const shallow = await listDir(guest, { path: at('tree'), depth: 1 }, never)
    expect(await collectBatches(shallow)).toHaveLength(2)
  })
})

describe('dial', () => {
  it('serves as a socket for HTTP', async () => {
    const server = createServer((req, res) => req.pipe(res.writeHead(200, { 'x-path': req.url })))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const socket = await dial(guest, { port }, never)
    const request = http.request({ path: '/x', method: 'POST', createConnection: () => socket })
    request.end('body')
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(response.headers['x-path']).toBe('/x')
    expect(await text(response)).toBe('body')
    server.close()
  })

  it('tells when nobody listens', async () => {
    const refused = { code: 'unavailable', errno: 'ECONNREFUSED' }
    await expect(dial(guest, { port: 1 }, never)).rejects.toMatchObject(refused)
  })
})
