/** HTTP/2 without TLS on the server's one port, driven by Connect's own client and by Node's. */
import { setMaxListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2'
import { text } from 'node:stream/consumers'
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect'
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Process, Signal } from '../../src/wire/gen/envd/process/process_pb.ts'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** The older release can make sandboxes without a token, which keeps this short. */
const sdk = sdks.at(-1)!.sdk

let server: TestServer
let session: ClientHttp2Session
let sandbox: Sandbox
beforeAll(async () => {
  server = await startTestServer()
  session = connect(server.sandboxUrl)
  sandbox = await sdk.Sandbox.create({ timeoutMs: 600_000, secure: false })
})
afterAll(async () => {
  session.destroy()
  await server[Symbol.asyncDispose]()
})

/** One exchange over the shared HTTP/2 connection. */
async function send(path: string, headers: OutgoingHttpHeaders = {}, body?: string | Buffer) {
  const stream = session.request({ ':path': path, ...headers }, { endStream: body === undefined })
  const head = new Promise<Record<string, unknown>>((resolve, reject) => {
    stream.once('response', resolve)
    stream.once('error', reject)
  })
  if (body !== undefined) stream.end(body)
  const answer = await head
  return { status: answer[':status'], headers: answer, body: await text(stream) }
}

const to = (port: number, id = sandbox.sandboxId) => ({
  'e2b-sandbox-id': id,
  'e2b-sandbox-port': String(port),
})

/** Connect's client of a sandbox's processes, and the one connection it has. */
function processesOf(
  id: string,
  { useBinaryFormat = false } = {},
): { client: Client<typeof Process>; manager: Http2SessionManager } {
  const manager = new Http2SessionManager(server.sandboxUrl)
  const transport = createConnectTransport({
    baseUrl: server.sandboxUrl,
    httpVersion: '2',
    useBinaryFormat,
    sessionManager: manager,
    interceptors: [
      (next) => (req) => {
        for (const [name, value] of Object.entries(to(49_983, id))) req.header.set(name, value)
        return next(req)
      },
    ],
  })
  return { client: createClient(Process, transport), manager }
}

async function run(
  client: Client<typeof Process>,
  cmd: string,
  args: string[],
): Promise<{ stdout: string; exitCode: number | undefined }> {
  let stdout = ''
  let exitCode: number | undefined
  for await (const { event } of client.start({ process: { cmd, args } })) {
    if (event?.event.case === 'data' && event.event.value.output.case === 'stdout') {
      stdout += Buffer.from(event.event.value.output.value).toString()
    }
    if (event?.event.case === 'end') exitCode = event.event.value.exitCode
  }
  return { stdout, exitCode }
}

/** The processes that a process has started: of a server those are its data workers. */
function childrenOf(pid: number): number[] {
  const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
  return listed.split(' ').filter(Boolean).map(Number)
}

test('the REST API', async () => {
  const key = { 'x-api-key': server.apiKey }
  const json = { ...key, 'content-type': 'application/json', ':method': 'POST' }
  const created = await send('/sandboxes', json, '{"templateID":"base","timeout":60}')
  expect(created.status).toBe(201)
  const { sandboxID } = JSON.parse(created.body)
  const listed = await send('/v2/sandboxes', key)
  expect(JSON.parse(listed.body).map((each: { sandboxID: string }) => each.sandboxID)).toContain(sandboxID)
  expect(await send(`/sandboxes/${sandboxID}`, { ...key, ':method': 'DELETE' })).toMatchObject({
    status: 204,
    body: '',
  })
  expect(await send(`/sandboxes/${sandboxID}`, key)).toMatchObject({ status: 404 })
  expect(await send('/sandboxes')).toMatchObject({ status: 401 })
  expect(await send('/sandboxes', json, '{')).toMatchObject({ status: 400 })
})

test.each([false, true])('processes over Connect (binary: %j)', async (useBinaryFormat) => {
  const { client, manager } = processesOf(sandbox.sandboxId, { useBinaryFormat })
  expect(await run(client, 'sh', ['-c', 'echo hello; exit 3'])).toEqual({ stdout: 'hello\n', exitCode: 3 })

  const events = client.start({ process: { cmd: 'cat' }, stdin: true, tag: 'cat' })[Symbol.asyncIterator]()
  await events.next()
  const selector = { selector: { case: 'tag' as const, value: 'cat' } }
  expect((await client.list({})).processes).toMatchObject([{ tag: 'cat' }])
  await client.streamInput(
    (async function* () {
      yield { event: { case: 'start' as const, value: { process: selector } } }
      for (const word of ['one ', 'two']) {
        const input = { input: { case: 'stdin' as const, value: Buffer.from(word) } }
        yield { event: { case: 'data' as const, value: { input } } }
      }
    })(),
  )
  let echoed = ''
  while (echoed !== 'one two') {
    const { value } = await events.next()
    const event = value?.event?.event
    if (event?.case === 'data' && event.value.output.case === 'stdout')
      echoed += Buffer.from(event.value.output.value)
  }
  await client.sendSignal({ process: selector, signal: Signal.SIGKILL })
  let last = await events.next()
  for (let next = last; next.done !== true; next = await events.next()) last = next
  expect(last.value?.event?.event).toMatchObject({ case: 'end', value: { status: 'signal: killed' } })
  await expect(client.sendSignal({ process: selector, signal: Signal.SIGKILL })).rejects.toMatchObject({
    code: Code.NotFound,
  })
  manager.abort()
})

test('files', async () => {
  const content = Buffer.alloc(30_000_000, 'twenty bytes of text')
  const upload = { ':method': 'POST', 'content-type': 'application/octet-stream', ...to(49_983) }
  expect(await send('/files?path=big', upload, content)).toMatchObject({ status: 200 })
  const download = await send('/files?path=big', to(49_983))
  expect(download.body === content.toString()).toBe(true)
  const zipped = await send('/files?path=big', { ...to(49_983), 'accept-encoding': 'gzip' })
  expect(zipped).toMatchObject({ status: 200, headers: { 'content-encoding': 'gzip' } })
  expect(await send('/files?path=none', to(49_983))).toMatchObject({ status: 404 })
})

test('a burst is answered whole, also by a server that stands still meanwhile', async () => {
  await sandbox.files.write('a', 'x')
  const stat = { ':method': 'POST', 'content-type': 'application/json', ...to(49_983) }
  for (let round = 0; round < 3; round++) {
    const burst = Array.from({ length: 400 }, () => send('/filesystem.Filesystem/Stat', stat, '{"path":"a"}'))
    // One answer means that many more are under way.
    await Promise.race(burst)
    const workers = childrenOf(server.pid())
    for (const pid of workers) process.kill(pid, 'SIGSTOP')
    // Longer than an agent may take to accept a connection.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    for (const pid of workers) process.kill(pid, 'SIGCONT')
    const answers = await Promise.all(burst)
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
  }
})

test('a port', async () => {
  await sandbox.files.write('index.html', 'from inside')
  await sandbox.commands.run('python3 -m http.server 8000', { background: true, timeoutMs: 0 })
  // Python starts in a fraction of a second, but the suites beside this one want the same CPUs.
  await vi.waitFor(
    async () => {
      expect(await send('/index.html', to(8000))).toMatchObject({ status: 200, body: 'from inside' })
    },
    { timeout: 30_000, interval: 100 },
  )
})

test('1500 commands at once over one connection', async () => {
  const { client, manager } = processesOf(sandbox.sandboxId)
  const outcomes = await Promise.all(Array.from({ length: 1500 }, (_, i) => run(client, 'echo', [String(i)])))
  expect(outcomes.filter(({ stdout, exitCode }, i) => stdout !== `${i}\n` || exitCode !== 0)).toEqual([])
  // The connection is the first one still; its last stream may be closed by now or not.
  expect(['open', 'idle']).toContain(manager.state())
  manager.abort()
})

describe('a killed sandbox', () => {
  test('breaks its streams off, and no others of their connection', async () => {
    const dying = await sdk.Sandbox.create({ timeoutMs: 60_000, secure: false })
    const { client, manager } = processesOf(dying.sandboxId)
    const begun = Array.from({ length: 20 }, async () => {
      const events = client.start({ process: { cmd: 'sleep', args: ['600'] } })[Symbol.asyncIterator]()
      await events.next()
      return events
    })
    const streams = await Promise.all(begun)
    const outcomes = streams.map((events) => events.next().catch((thrown) => ConnectError.from(thrown)))
    await dying.kill()
    // Connect's name for a reset stream; a clean end without a last message would be `invalid_argument` or `unknown`.
    for (const outcome of await Promise.all(outcomes)) {
      expect(outcome).toMatchObject({
        code: Code.Internal,
        rawMessage: expect.stringContaining('NGHTTP2_INTERNAL_ERROR'),
      })
    }
    expect(manager.state()).toMatch(/open|idle/)
    await expect(client.list({})).rejects.toMatchObject({ code: Code.Unavailable })
    manager.abort()
  })
})

// All of them are of one connection, and so of one data worker.
test('500 idle streams cost the server less than 50 MB', async () => {
  const { client, manager } = processesOf(sandbox.sandboxId)
  // What the first use of everything costs isn't a stream's.
  await Promise.all(Array.from({ length: 50 }, () => run(client, 'true', [])))
  const before = server.residentBytes()
  const leaving = new AbortController()
  setMaxListeners(0, leaving.signal)
  const streams = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const events = client
        .start({ process: { cmd: 'sleep', args: ['600'] } }, { signal: leaving.signal })
        [Symbol.asyncIterator]()
      await events.next()
      return events
    }),
  )
  expect(server.residentBytes() - before).toBeLessThan(50_000_000)
  const left = streams.map((events) => events.next().catch(() => {}))
  leaving.abort()
  await Promise.all(left)
  manager.abort()
})
