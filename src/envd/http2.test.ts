/** envd over HTTP/2: the same answers through the other of Node's two implementations. */
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../tests/support/agent.ts'
import { frameBytes, startPeer } from '../../tests/support/peer.ts'
import { createTrafficServer } from '../edge/traffic-server.ts'
import { frameType } from '../guest/frames.ts'
import type { Guest } from '../guest/guest.ts'
import { silentLog } from '../lib/log.ts'
import { Filesystem } from '../wire/gen/envd/filesystem/filesystem_pb.ts'
import { Process } from '../wire/gen/envd/process/process_pb.ts'
import { createEnvd } from './envd.ts'
import { encodeEnvelope } from './rpc/envelope.ts'
import { splitEnvelopes } from './wire.fixture.ts'

let agent: TestAgent
let server: Server
let session: ClientHttp2Session

async function listen(guest: Guest): Promise<Server> {
  const envd = createEnvd({ log: silentLog })
  const gone = new AbortController().signal
  const target = { guest, sandboxId: 'itest', accessToken: null, envVars: {}, gone }
  const listening = createTrafficServer()
  listening.on('request', (req, res) => envd.handle(target, req, res))
  await once(listening.listen(0, '127.0.0.1'), 'listening')
  return listening
}

const urlOf = (http: Server) => `http://127.0.0.1:${(http.address() as AddressInfo).port}`

beforeAll(async () => {
  agent = await startAgent()
  server = await listen(agent.guest)
  session = connect(urlOf(server))
})

afterAll(async () => {
  session?.destroy()
  server?.close()
  await agent?.[Symbol.asyncDispose]()
})

async function exchange(headers: Record<string, string>, body?: Buffer) {
  const stream = session.request({ ':method': body === undefined ? 'GET' : 'POST', ...headers })
  stream.end(body)
  const [response] = (await once(stream, 'response')) as [Record<string, string | number>]
  return { headers: response, body: await buffer(stream) }
}

describe.each([
  ['JSON', false],
  ['binary', true],
])('RPCs in %s over HTTP/2', (_, useBinaryFormat) => {
  function clientsOf(baseUrl: string): { process: Client<typeof Process>; files: Client<typeof Filesystem> } {
    const transport = createConnectTransport({ baseUrl, httpVersion: '2', useBinaryFormat })
    return { process: createClient(Process, transport), files: createClient(Filesystem, transport) }
  }

  it('are answered, streamed and refused', async () => {
    const { process, files } = clientsOf(urlOf(server))
    expect((await files.stat({ path: agent.folder })).entry?.path).toBe(agent.folder)
    const missing = await files.stat({ path: '/nowhere' }).catch((thrown: unknown) => thrown)
    expect(ConnectError.from(missing).code).toBe(Code.NotFound)
    let bytes = 0
    let last: string | undefined
    const command = { cmd: '/bin/sh', args: ['-c', 'head -c 5000000 /dev/zero'] }
    for await (const { event } of process.start({ process: command, stdin: false })) {
      last = event?.event.case
      if (event?.event.case === 'data') bytes += event.event.value.output.value?.length ?? 0
    }
    expect([bytes, last]).toEqual([5_000_000, 'end'])
  })

  it('let go of the guest when their client leaves', async () => {
    await using peer = await startPeer((socket) => socket.write(frameBytes(frameType.reply, { pid: 5 })))
    const other = await listen(peer.guest)
    const leaving = new AbortController()
    const stream = clientsOf(urlOf(other)).process.start(
      { process: { cmd: 'x' } },
      { signal: leaving.signal },
    )
    await stream[Symbol.asyncIterator]().next()
    const socket = await peer.connection()
    const closed = new Promise((resolve) => socket.once('end', resolve))
    leaving.abort()
    await closed
    other.close()
  })
})

describe('HTTP/2', () => {
  it('carries files both ways', async () => {
    const path = join(agent.folder, 'file')
    const query = `/files?${new URLSearchParams({ path })}`
    const content = Buffer.alloc(3_000_000, 'abc')
    const headers = { ':path': query, 'content-type': 'application/octet-stream' }
    const written = await exchange(headers, content)
    expect([written.headers[':status'], JSON.parse(written.body.toString())]).toEqual([
      200,
      [{ name: 'file', path, type: 'file' }],
    ])
    expect((await readFile(path)).equals(content)).toBe(true)
    const read = await exchange({ ':path': query })
    expect([read.headers[':status'], read.headers['content-length']]).toEqual([200, '3000000'])
    expect(read.body.equals(content)).toBe(true)
    const part = await exchange({ ':path': query, range: 'bytes=1-3' })
    expect([part.headers[':status'], part.body.toString()]).toEqual([206, 'bca'])
    await writeFile(path, '')
    expect((await exchange({ ':path': query })).body.length).toBe(0)
    expect((await exchange({ ':path': '/health' })).headers[':status']).toBe(204)
    expect((await exchange({ ':path': '/nothing' })).headers[':status']).toBe(404)
  })

  it('carries a stream of which the request breaks off', async () => {
    const headers = { ':method': 'POST', 'content-type': 'application/connect+json' }
    const stream = session.request({ ...headers, ':path': '/process.Process/Start' })
    stream.on('error', () => {}).write(encodeEnvelope(0, '{"process":{"cmd":"true"}}').subarray(0, 10))
    stream.close(8)
    await once(stream, 'close')
    const body = encodeEnvelope(0, '{"process":{"cmd":"true"},"stdin":false}')
    const whole = await exchange({ ...headers, ':path': '/process.Process/Start' }, body)
    expect(splitEnvelopes(whole.body).at(-1)).toEqual([2, Buffer.from('{}')])
  })
})
