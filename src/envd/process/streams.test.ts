/** `Start` and `Connect` as bytes on the wire (e2b-wire 3.1, 3.2). */
import { gzipSync } from 'node:zlib'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import { frameBytes, startPeer } from '../../../tests/support/peer.ts'
import { frameType } from '../../guest/frames.ts'
import {
  type ProcessEvent,
  StartRequestSchema,
  StartResponseSchema,
} from '../../wire/gen/envd/process/process_pb.ts'
import { encodeEnvelope } from '../rpc/envelope.ts'
import { callStream, envelopesOf, exchange, readEnvelopes, send, splitEnvelopes } from '../wire.fixture.ts'

let agent: TestAgent
let server: EnvdServer
let startUrl: string
let connectUrl: string

beforeAll(async () => {
  agent = await startAgent()
  server = await startEnvd(agent.guest)
  startUrl = `${server.url}/process.Process/Start`
  connectUrl = `${server.url}/process.Process/Connect`
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
})

const shell = (script: string) => ({ process: { cmd: '/bin/sh', args: ['-c', script] }, stdin: false })
const base64 = (text: string) => Buffer.from(text).toString('base64')
const pidOf = (text: string | undefined) => Number(/"pid":(\d+)/.exec(text ?? '')?.[1])

function call(method: string, message: object) {
  return exchange(`${server.url}/process.Process/${method}`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(message),
  })
}

const kill = (pid: number) => call('SendSignal', { process: { pid }, signal: 'SIGNAL_SIGKILL' })

/** Follows a process that this request starts, from its start on. */
async function follow(message: object, headers = {}) {
  const envelopes = readEnvelopes(await callStream(startUrl, message, headers))
  const next = async () => (await envelopes.next()).value?.[1]
  return { pid: pidOf(await next()), next }
}

describe('a stream in JSON', () => {
  it('has start, data, end and its own end', async () => {
    const response = await callStream(startUrl, shell('printf out; sleep 0.1; printf err >&2; exit 3'))
    expect(response.statusCode).toBe(200)
    expect(response.headers).toMatchObject({
      'content-type': 'application/connect+json',
      'transfer-encoding': 'chunked',
    })
    expect(response.headers['connect-content-encoding']).toBeUndefined()
    const [start, ...rest] = await envelopesOf(response)
    expect(start).toEqual([0, expect.stringMatching(/^\{"event":\{"start":\{"pid":\d+\}\}\}$/)])
    expect(rest).toEqual([
      [0, `{"event":{"data":{"stdout":"${base64('out')}"}}}`],
      [0, `{"event":{"data":{"stderr":"${base64('err')}"}}}`],
      [0, '{"event":{"end":{"exitCode":3,"exited":true,"status":"exit status 3","error":"exit status 3"}}}'],
      [2, '{}'],
    ])
  })

  it.each([
    ['exits well', 'true', '{"exited":true,"status":"exit status 0"}'],
    ['is killed', 'kill -9 $$', '{"exitCode":-1,"status":"signal: killed","error":"signal: killed"}'],
    [
      'is terminated',
      'kill -15 $$',
      '{"exitCode":-1,"status":"signal: terminated","error":"signal: terminated"}',
    ],
    [
      'has no such command',
      'exec /nowhere/x 2>/dev/null',
      '{"exitCode":127,"exited":true,"status":"exit status 127","error":"exit status 127"}',
    ],
  ])('says how a process ended that %s', async (_, script, end) => {
    const envelopes = await envelopesOf(await callStream(startUrl, shell(script)))
    expect(envelopes.slice(1)).toEqual([
      [0, `{"event":{"end":${end}}}`],
      [2, '{}'],
    ])
  })

  it('says with 127 that a command is not there', async () => {
    const message = { process: { cmd: 'e2b-no-such-command' }, stdin: false }
    const envelopes = await envelopesOf(await callStream(startUrl, message))
    expect(envelopes.at(-2)?.[1]).toContain('"exitCode":127')
  })

  it('names output of a terminal pty', async () => {
    const message = { ...shell('printf x'), pty: { size: { cols: 80, rows: 24 } } }
    const envelopes = await envelopesOf(await callStream(startUrl, message))
    expect(envelopes[1]).toEqual([0, `{"event":{"data":{"pty":"${base64('x')}"}}}`])
    expect(envelopes.at(-2)?.[1]).toBe('{"event":{"end":{"exited":true,"status":"exit status 0"}}}')
  })

  it('has its start before the process has written anything', async () => {
    await using peer = await startPeer((socket) => socket.write(frameBytes(frameType.reply, { pid: 7 })))
    await using other = await startEnvd(peer.guest)
    const response = await callStream(`${other.url}/process.Process/Start`, shell('x'))
    const first = await readEnvelopes(response).next()
    expect(first.value).toEqual([0, '{"event":{"start":{"pid":7}}}'])
  })

  it('says in silence, and only then, that it lives', async () => {
    const { next } = await follow(shell('for i in 1 2 3; do sleep 0.5; echo; done; sleep 1.2'), {
      'keepalive-ping-interval': '1',
    })
    const line = `{"event":{"data":{"stdout":"${base64('\n')}"}}}`
    for (let i = 0; i < 3; i++) expect(await next()).toBe(line)
    expect(await next()).toBe('{"event":{"keepalive":{}}}')
    expect(await next()).toContain('"end"')
  })

  it('splits no byte off and adds none, whatever the bytes are', async () => {
    const script = 'head -c 8191 /dev/zero | tr "\\0" a; printf "\\342"; sleep 0.1; printf "\\202\\254"'
    const envelopes = await envelopesOf(await callStream(startUrl, shell(script)))
    const pieces = envelopes.map(([, text]) => /"stdout":"([^"]*)"/.exec(text)?.[1] ?? '')
    const output = Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64')))
    expect(output.length).toBe(8194)
    expect(output.subarray(8190).toString()).toBe('a€')
  })

  it('keeps to events of 32 KiB, whatever an agent sends', async () => {
    const bytes = Buffer.alloc(256 * 1024, 'x')
    const frames = [
      frameBytes(frameType.reply, { pid: 7 }),
      frameBytes(frameType.stdout, bytes),
      frameBytes(frameType.end, { exitCode: 0, exited: true, status: 'exit status 0' }),
    ]
    await using peer = await startPeer((socket) => socket.end(Buffer.concat(frames)))
    await using other = await startEnvd(peer.guest)
    const envelopes = await envelopesOf(await callStream(`${other.url}/process.Process/Start`, shell('x')))
    const pieces = envelopes
      .filter(([, text]) => text.includes('stdout'))
      .map(([, text]) => Buffer.from(text.slice(28, -4), 'base64'))
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
    for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(32 * 1024)
  })
})

describe('a stream in binary', () => {
  it('has the same events', async () => {
    const request = toBinary(StartRequestSchema, {
      $typeName: 'process.StartRequest',
      process: {
        $typeName: 'process.ProcessConfig',
        cmd: '/bin/sh',
        args: ['-c', 'head -c 40000 /dev/zero; exit 2'],
        envs: {},
      },
      stdin: false,
    })
    const response = await exchange(startUrl, {
      headers: { 'content-type': 'application/connect+proto' },
      body: encodeEnvelope(0, request),
    })
    expect(response.headers['content-type']).toBe('application/connect+proto')
    const envelopes = splitEnvelopes(response.body)
    expect(envelopes.pop()).toEqual([2, Buffer.from('{}')])
    const events: ProcessEvent['event'][] = envelopes.map(
      ([, message]) => fromBinary(StartResponseSchema, message).event!.event,
    )
    expect(events.shift()).toMatchObject({ case: 'start', value: { pid: expect.any(Number) } })
    expect(events.pop()).toMatchObject({
      case: 'end',
      value: { exitCode: 2, exited: true, status: 'exit status 2', error: 'exit status 2' },
    })
    const bytes = events.map((event) => event.value as { output: { case: string; value: Uint8Array } })
    expect(bytes.every(({ output }) => output.case === 'stdout')).toBe(true)
    expect(bytes.reduce((sum, { output }) => sum + output.value.length, 0)).toBe(40_000)
  })
})

describe('a stream that cannot be', () => {
  const errorEnd = async (response: Parameters<typeof envelopesOf>[0]) => {
    expect(response.statusCode).toBe(200)
    const envelopes = await envelopesOf(response)
    expect(envelopes).toHaveLength(1)
    expect(envelopes[0]?.[0]).toBe(2)
    return JSON.parse(envelopes[0]?.[1] ?? '').error
  }

  it('is one end that says why', async () => {
    const unknownUser = { authorization: `Basic ${base64('x:')}` }
    expect(await errorEnd(await callStream(startUrl, shell('true'), unknownUser))).toEqual({
      code: 'unauthenticated',
      message: "invalid username: 'x'",
    })
    const badCwd = { process: { cmd: 'true', cwd: '/x' } }
    expect(await errorEnd(await callStream(startUrl, badCwd))).toEqual({
      code: 'invalid_argument',
      message: "cwd '/x' does not exist",
    })
    expect(await errorEnd(await callStream(connectUrl, { process: { pid: 999_999 } }))).toEqual({
      code: 'not_found',
      message: 'process with pid 999999 not found',
    })
    expect(await errorEnd(await callStream(connectUrl, { process: { tag: 'ä"' } }))).toEqual({
      code: 'not_found',
      message: `process with tag 'ä"' not found`,
    })
  })

  const json = { 'content-type': 'application/connect+json' }
  const message = JSON.stringify(shell('true'))

  it.each([
    ['no message', Buffer.alloc(0), {}, 'unimplemented'],
    ['half an envelope', Buffer.from([0, 0, 0]), {}, 'invalid_argument'],
    ['half a message', encodeEnvelope(0, message).subarray(0, -1), {}, 'invalid_argument'],
    [
      'two messages',
      Buffer.concat([encodeEnvelope(0, message), encodeEnvelope(0, message)]),
      {},
      'unimplemented',
    ],
    ['an end', encodeEnvelope(2, '{}'), {}, 'invalid_argument'],
    ['no JSON', encodeEnvelope(0, '{'), {}, 'invalid_argument'],
    ['an empty message', encodeEnvelope(0, ''), {}, 'invalid_argument'],
    ['another type', encodeEnvelope(0, '{"process":{"cmd":5}}'), {}, 'invalid_argument'],
    [
      'bytes that are no gzip',
      encodeEnvelope(1, 'x'),
      { 'connect-content-encoding': 'gzip' },
      'invalid_argument',
    ],
    [
      'half a gzip',
      encodeEnvelope(1, gzipSync(message).subarray(0, 20)),
      { 'connect-content-encoding': 'gzip' },
      'invalid_argument',
    ],
    ['gzip unannounced', encodeEnvelope(1, gzipSync(message)), {}, 'invalid_argument'],
    [
      'an unknown compression',
      encodeEnvelope(0, message),
      { 'connect-content-encoding': 'lzw' },
      'unimplemented',
    ],
    [
      'a bomb',
      encodeEnvelope(1, gzipSync(Buffer.alloc(20_000_000))),
      { 'connect-content-encoding': 'gzip' },
      'resource_exhausted',
    ],
    ['too long a message', encodeEnvelope(0, Buffer.alloc(20_000_000)), {}, 'resource_exhausted'],
    ['no time limit', encodeEnvelope(0, message), { 'connect-timeout-ms': 'soon' }, 'invalid_argument'],
  ])('refuses %s', async (_, body, headers, code) => {
    const error = await errorEnd(await send(startUrl, { headers: { ...json, ...headers }, body }))
    expect(error).toEqual({ code, message: expect.any(String) })
  })

  it('takes as many arguments as the system does', async () => {
    const { process } = shell('echo -n $#')
    const args = [...process.args, ...Array<string>(14).fill('x'.repeat(130_000))]
    const envelopes = await envelopesOf(await callStream(startUrl, { process: { ...process, args } }))
    expect(envelopes[1]?.[1]).toContain(Buffer.from('13').toString('base64'))
  })

  it.each(['application/json', 'application/proto', 'application/connect+yaml', 'text/plain', undefined])(
    'is 415 with the content type %s',
    async (type) => {
      const headers = type === undefined ? {} : { 'content-type': type }
      const response = await exchange(startUrl, { headers, body: encodeEnvelope(0, message) })
      expect([response.status, JSON.parse(response.body.toString())]).toMatchObject([415, { code: 415 }])
    },
  )

  it('takes requests that are compressed, or know more than we do', async () => {
    const headers = { ...json, 'connect-content-encoding': 'gzip' }
    const zipped = { headers, body: encodeEnvelope(1, gzipSync(message)) }
    expect(await envelopesOf(await send(startUrl, zipped))).toHaveLength(3)
    const plain = { headers, body: encodeEnvelope(0, message) }
    expect(await envelopesOf(await send(startUrl, plain))).toHaveLength(3)
    const unknown = { ...shell('true'), news: [{}], process: { ...shell('true').process, later: 1 } }
    expect(await envelopesOf(await callStream(startUrl, unknown))).toHaveLength(3)
    const charset = { 'content-type': 'application/connect+json; charset=utf-8' }
    expect(await envelopesOf(await callStream(startUrl, shell('true'), charset))).toHaveLength(3)
  })
})

describe('time limits', () => {
  it('kill a process that was started with one', async () => {
    const { pid, next } = await follow(shell('sleep 60'), { 'connect-timeout-ms': '100' })
    expect(JSON.parse((await next()) ?? '')).toMatchObject({ error: { code: 'deadline_exceeded' } })
    expect((await kill(pid)).status).toBe(404)
  })

  it('end only the stream of a connect', async () => {
    const { pid } = await follow(shell('exec sleep 60'))
    const response = await callStream(connectUrl, { process: { pid } }, { 'connect-timeout-ms': '50' })
    const envelopes = await envelopesOf(response)
    expect(envelopes[0]?.[1]).toBe(`{"event":{"start":{"pid":${pid}}}}`)
    expect(JSON.parse(envelopes[1]?.[1] ?? '')).toMatchObject({ error: { code: 'deadline_exceeded' } })
    expect((await kill(pid)).status).toBe(200)
  })
})

describe('followers', () => {
  it('all get all that comes while they follow', async () => {
    const first = await follow({ ...shell('read x; printf "$x"; exit 5'), stdin: true })
    const second = readEnvelopes(await callStream(connectUrl, { process: { pid: first.pid } }))
    expect((await second.next()).value?.[1]).toBe(`{"event":{"start":{"pid":${first.pid}}}}`)
    await call('SendInput', { process: { pid: first.pid }, input: { stdin: base64('both\n') } })
    const data = `{"event":{"data":{"stdout":"${base64('both')}"}}}`
    const end =
      '{"event":{"end":{"exitCode":5,"exited":true,"status":"exit status 5","error":"exit status 5"}}}'
    expect([await first.next(), await first.next(), await first.next()]).toEqual([data, end, '{}'])
    for (const text of [data, end, '{}']) expect((await second.next()).value?.[1]).toBe(text)
  })

  it('learn of an end that has just been, and get no output of before', async () => {
    const { pid, next } = await follow(shell('printf early; exit 4'))
    while ((await next()) !== '{}');
    const envelopes = await envelopesOf(await callStream(connectUrl, { process: { pid } }))
    expect(envelopes).toEqual([
      [0, `{"event":{"start":{"pid":${pid}}}}`],
      [0, '{"event":{"end":{"exitCode":4,"exited":true,"status":"exit status 4","error":"exit status 4"}}}'],
      [2, '{}'],
    ])
    const list = JSON.parse((await call('List', {})).body.toString())
    expect((list.processes ?? []).some((process: { pid: number }) => process.pid === pid)).toBe(false)
  })

  it('find each of many tags', async () => {
    const tags = Array.from({ length: 20 }, (_, index) => `tag-${index}`)
    const started = await Promise.all(tags.map((tag) => follow({ ...shell('exec sleep 60'), tag })))
    for (const [index, tag] of tags.entries()) {
      const stream = readEnvelopes(await callStream(connectUrl, { process: { tag } }))
      expect(pidOf((await stream.next()).value?.[1])).toBe(started[index]?.pid)
      await stream.return()
      expect((await call('SendSignal', { process: { tag }, signal: 'SIGNAL_SIGKILL' })).status).toBe(200)
    }
    for (const { next } of started) expect(await next()).toContain('"signal: killed"')
  })

  it('leave without taking the process along', async () => {
    const response = await callStream(startUrl, shell('sleep 0.3; exit 6'))
    const pid = pidOf((await readEnvelopes(response).next()).value?.[1])
    response.destroy()
    const envelopes = await envelopesOf(await callStream(connectUrl, { process: { pid } }))
    expect(envelopes.at(-2)?.[1]).toContain('"exitCode":6')
  })
})

describe('E2b-Replay', () => {
  const outputOf = (envelopes: [number, string][]) =>
    envelopes
      .map(([, text]) => /"(?:stdout|stderr)":"([^"]*)"/.exec(text)?.[1] ?? '')
      .map((data) => Buffer.from(data, 'base64').toString())
      .join('')

  /** Connects to a process that has ended, so that what is kept is all there is. */
  async function replay(pid: number, value: string) {
    const response = await callStream(connectUrl, { process: { pid } }, { 'e2b-replay': value })
    const envelopes = await envelopesOf(response)
    return { from: response.headers['e2b-replay-from'], output: outputOf(envelopes), envelopes }
  }

  async function run(script: string): Promise<number> {
    const { pid, next } = await follow(shell(script))
    while ((await next()) !== '{}');
    return pid
  }

  it('sends what was missed, from the start or from an offset', async () => {
    const pid = await run('printf one; sleep 0.05; printf two >&2; sleep 0.05; printf three')
    expect(await replay(pid, 'true')).toMatchObject({ from: '0', output: 'onetwothree' })
    expect(await replay(pid, '0')).toMatchObject({ from: '0', output: 'onetwothree' })
    expect(await replay(pid, '4')).toMatchObject({ from: '4', output: 'wothree' })
    expect(await replay(pid, '11')).toMatchObject({ from: '11', output: '' })
    expect(await replay(pid, 'false')).toMatchObject({ from: undefined, output: '' })
  })

  it('says how much is gone', async () => {
    const pid = await run('head -c 3000000 /dev/zero; printf end')
    const { from, output } = await replay(pid, '5')
    expect(Number(from)).toBeGreaterThan(1_000_000)
    expect(Number(from) + output.length).toBe(3_000_003)
    expect(output.endsWith('end')).toBe(true)
  })

  it('loses nothing over a connection that breaks', async () => {
    const script = 'i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.001; done'
    const expected = Array.from({ length: 300 }, (_, index) => `line ${index}\n`).join('')
    const first = await callStream(startUrl, shell(script))
    let received = ''
    let pid = 0
    for await (const envelope of readEnvelopes(first)) {
      pid ||= pidOf(envelope[1])
      received += outputOf([envelope])
      if (received.length > 200) break
    }
    first.destroy()
    const rest = await replay(pid, String(received.length))
    expect(rest.from).toBe(String(received.length))
    expect(received + rest.output).toBe(expected)
  })

  it('refuses what is no offset, or none of this process', async () => {
    const pid = await run('printf abc')
    for (const value of ['-1', 'yes', '1.5', '9'.repeat(16), '4']) {
      const { envelopes } = await replay(pid, value)
      expect(JSON.parse(envelopes[0]?.[1] ?? '')).toMatchObject({ error: { code: 'invalid_argument' } })
    }
  })

  it('says so where the agent keeps nothing', async () => {
    await using peer = await startPeer((socket) => socket.write(frameBytes(frameType.reply, { pid: 7 })))
    await using other = await startEnvd(peer.guest)
    const url = `${other.url}/process.Process/Connect`
    const response = await callStream(url, { process: { pid: 7 } }, { 'e2b-replay': 'true' })
    expect(JSON.parse((await envelopesOf(response))[0]?.[1] ?? '')).toMatchObject({
      error: { code: 'unimplemented' },
    })
  })
})
