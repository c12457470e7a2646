/** Unary RPCs and `StreamInput` as bytes on the wire (e2b-wire 3.1 to 3.3). */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import { callStream, exchange, readEnvelopes, splitEnvelopes } from '../wire.fixture.ts'
import { encodeEnvelope } from './envelope.ts'

let agent: TestAgent
let server: EnvdServer

beforeAll(async () => {
  agent = await startAgent()
  server = await startEnvd(agent.guest)
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
})

async function call(method: string, body: object | string | Buffer, headers = {}) {
  const response = await exchange(`${server.url}/${method}`, {
    headers: { 'content-type': 'application/json', 'connect-protocol-version': '1', ...headers },
    body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
  })
  return { ...response, text: response.body.toString() }
}

/** Starts a process and leaves its stream open. */
async function start(message: object): Promise<{ pid: number; next(): Promise<string | undefined> }> {
  const envelopes = readEnvelopes(await callStream(`${server.url}/process.Process/Start`, message))
  const next = async () => (await envelopes.next()).value?.[1]
  return { pid: Number(/"pid":(\d+)/.exec((await next()) ?? '')?.[1]), next }
}

describe('an answer', () => {
  it('is the message in JSON', async () => {
    const path = join(agent.folder, 'a.txt')
    await writeFile(path, 'x'.repeat(1234), { mode: 0o644 })
    const response = await call('filesystem.Filesystem/Stat', { path })
    expect([response.status, response.headers['content-type']]).toEqual([200, 'application/json'])
    const { entry } = JSON.parse(response.text)
    expect(entry).toMatchObject({
      name: 'a.txt',
      type: 'FILE_TYPE_FILE',
      path,
      size: '1234',
      mode: 420,
      permissions: '-rw-r--r--',
      modifiedTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/),
    })
    expect(Object.keys(entry)).not.toContain('symlinkTarget')
    expect(Object.keys(entry)).not.toContain('metadata')
  })

  it('is {} where there is nothing to say', async () => {
    expect((await call('filesystem.Filesystem/Remove', { path: join(agent.folder, 'none') })).text).toBe('{}')
    expect((await call('process.Process/List', '{}')).text).toBe('{}')
    expect((await call('process.Process/List', '{"later":[1]}')).text).toBe('{}')
    const binary = await call('process.Process/List', '', { 'content-type': 'application/proto' })
    expect([binary.status, binary.body.length]).toEqual([200, 0])
  })

  it('is compressed for who asks, as requests may be', async () => {
    const gzipped = await call('filesystem.Filesystem/ListDir', gzipSync('{"path":"/etc"}'), {
      'content-encoding': 'gzip',
      'accept-encoding': 'gzip',
    })
    expect(gzipped.headers['content-encoding']).toBe('gzip')
    expect(JSON.parse(gunzipSync(gzipped.body).toString()).entries.length).toBeGreaterThan(5)
    for (const accepted of [undefined, 'gzip, deflate, br', 'br']) {
      const headers = accepted === undefined ? {} : { 'accept-encoding': accepted }
      const plain = await call('filesystem.Filesystem/ListDir', { path: '/etc' }, headers)
      expect(plain.headers['content-encoding']).toBeUndefined()
      expect(JSON.parse(plain.text).entries.length).toBeGreaterThan(5)
    }
  })
})

describe('an error', () => {
  const missing = '/nowhere/at/all'

  it.each([
    ['filesystem.Filesystem/Stat', { path: missing }, 404, 'not_found', `path '${missing}' does not exist`],
    ['filesystem.Filesystem/MakeDir', { path: '/etc' }, 409, 'already_exists', undefined],
    ['filesystem.Filesystem/MakeDir', { path: '/etc/passwd' }, 400, 'invalid_argument', undefined],
    ['filesystem.Filesystem/ListDir', { path: '/etc/passwd' }, 400, 'invalid_argument', undefined],
    [
      'filesystem.Filesystem/GetWatcherEvents',
      { watcherId: 'x' },
      404,
      'not_found',
      'watcher with id x not found',
    ],
    [
      'process.Process/SendSignal',
      { process: { pid: 999999 }, signal: 'SIGNAL_SIGKILL' },
      404,
      'not_found',
      'process with pid 999999 not found',
    ],
    [
      'process.Process/SendSignal',
      { process: { pid: 1 }, signal: 'SIGNAL_UNSPECIFIED' },
      501,
      'unimplemented',
      undefined,
    ],
    ['process.Process/SendInput', { process: { pid: 1 } }, 400, 'invalid_argument', undefined],
    ['process.Process/List', '', 400, 'invalid_argument', undefined],
    ['process.Process/List', '[]', 400, 'invalid_argument', undefined],
  ])('of %s %j is %i %s', async (method, body, status, code, message) => {
    const response = await call(method, body)
    expect([response.status, response.headers['content-type']]).toEqual([status, 'application/json'])
    expect(JSON.parse(response.text)).toEqual({ code, message: message ?? expect.any(String) })
  })

  it.each([
    ['no gzip', Buffer.from('{}')],
    ['a single byte', Buffer.from('\0')],
    ['half a gzip', gzipSync('{}').subarray(0, 15)],
  ])("is the client's for %s", async (_, body) => {
    const response = await call('process.Process/List', body, { 'content-encoding': 'gzip' })
    expect([response.status, JSON.parse(response.text).code]).toEqual([400, 'invalid_argument'])
  })

  it('names the user that is not there', async () => {
    const headers = { authorization: `Basic ${Buffer.from('nobody-here:').toString('base64')}` }
    const response = await call('filesystem.Filesystem/Stat', { path: '/' }, headers)
    expect([response.status, response.text]).toEqual([
      401,
      `{"code":"unauthenticated","message":"invalid username: 'nobody-here'"}`,
    ])
  })

  it('of input is internal where there is no input, and none for a terminal that is to be closed', async () => {
    const { pid } = await start({ process: { cmd: 'sleep', args: ['60'] }, stdin: false })
    const input = await call('process.Process/SendInput', { process: { pid }, input: { stdin: 'eA==' } })
    expect([input.status, input.text]).toEqual([
      500,
      '{"code":"internal","message":"stdin not enabled or closed"}',
    ])
    await call('process.Process/SendSignal', { process: { pid }, signal: 'SIGNAL_SIGKILL' })
    const pty = await start({ process: { cmd: 'sleep', args: ['60'] }, pty: { size: { cols: 8, rows: 8 } } })
    const closed = await call('process.Process/CloseStdin', { process: { pid: pty.pid } })
    expect([closed.status, JSON.parse(closed.text).code]).toEqual([400, 'failed_precondition'])
    await call('process.Process/SendSignal', { process: { pid: pty.pid }, signal: 'SIGNAL_SIGKILL' })
  })
})

describe('standard input', () => {
  it('takes nothing, something, and its end twice', async () => {
    const { pid, next } = await start({ process: { cmd: 'cat' } })
    for (const stdin of ['', Buffer.from('data').toString('base64')]) {
      expect(await call('process.Process/SendInput', { process: { pid }, input: { stdin } })).toMatchObject({
        status: 200,
        text: '{}',
      })
    }
    expect(await next()).toBe('{"event":{"data":{"stdout":"ZGF0YQ=="}}}')
    await call('process.Process/CloseStdin', { process: { pid } })
    expect(await next()).toBe('{"event":{"end":{"exited":true,"status":"exit status 0"}}}')
    expect((await call('process.Process/CloseStdin', { process: { pid } })).status).toBe(404)
  })

  it('is streamed in one request, which is answered in one message', async () => {
    const { pid, next } = await start({ process: { cmd: 'cat' } })
    const messages = [
      { start: { process: { pid } } },
      { keepalive: {} },
      { data: { input: { stdin: Buffer.from('one').toString('base64') } } },
    ]
    const response = await exchange(`${server.url}/process.Process/StreamInput`, {
      headers: { 'content-type': 'application/connect+json' },
      body: Buffer.concat(messages.map((message) => encodeEnvelope(0, JSON.stringify(message)))),
    })
    expect(splitEnvelopes(response.body).map(([flags, message]) => [flags, message.toString()])).toEqual([
      [0, '{}'],
      [2, '{}'],
    ])
    expect(await next()).toBe('{"event":{"data":{"stdout":"b25l"}}}')
    await call('process.Process/SendSignal', { process: { pid }, signal: 'SIGNAL_SIGTERM' })
    expect(await next()).toContain('"status":"signal: terminated"')
  })
})
