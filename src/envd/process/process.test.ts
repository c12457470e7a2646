import type { MessageInitShape } from '@bufbuild/protobuf'
import { type CallOptions, type Client, Code, ConnectError, createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import { frameBytes, startPeer } from '../../../tests/support/peer.ts'
import { frameType } from '../../guest/frames.ts'
import {
  Process,
  type ProcessEvent,
  Signal,
  type StreamInputRequestSchema,
} from '../../wire/gen/envd/process/process_pb.ts'

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

function clientOf(url: string, useBinaryFormat = false): Client<typeof Process> {
  return createClient(Process, createConnectTransport({ baseUrl: url, httpVersion: '1.1', useBinaryFormat }))
}

const shell = (script: string) => ({ process: { cmd: '/bin/sh', args: ['-c', script] }, stdin: false })

type Stream = AsyncIterable<{ event?: ProcessEvent | undefined }>

/** A stream's events one by one, with the first already checked to be `start`. */
async function open(stream: Stream) {
  const iterator = stream[Symbol.asyncIterator]()
  async function next(): Promise<ProcessEvent['event'] | undefined> {
    const { done, value } = await iterator.next()
    return done ? undefined : value.event?.event
  }
  const first = await next()
  if (first?.case !== 'start') throw new Error(`first event is ${first?.case}`)
  return { pid: first.value.pid, next }
}

async function collect(stream: Stream) {
  const { pid, next } = await open(stream)
  const output = { stdout: '', stderr: '', pty: '' }
  for (;;) {
    const event = await next()
    if (event === undefined) throw new Error('no end')
    if (event.case === 'end') {
      expect(await next()).toBeUndefined()
      const { exitCode, exited, status, error } = event.value
      return { pid, ...output, exit: { exitCode, exited, status, error } }
    }
    if (event.case === 'data' && event.value.output.case) {
      output[event.value.output.case] += Buffer.from(event.value.output.value).toString()
    }
  }
}

async function errorOf(promise: Promise<unknown>): Promise<ConnectError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(ConnectError)
  return error as ConnectError
}

const basic = (user: string): CallOptions => ({
  headers: { authorization: `Basic ${Buffer.from(`${user}:`).toString('base64')}` },
})

describe.each([
  ['JSON', false],
  ['binary', true],
])('process.Process in %s', (_, isBinary) => {
  let client: Client<typeof Process>
  beforeAll(() => {
    client = clientOf(server.url, isBinary)
  })

  it('starts a process and follows it to its end', async () => {
    const { stdout, stderr, exit } = await collect(client.start(shell('printf out; printf err >&2; exit 7')))
    expect([stdout, stderr]).toEqual(['out', 'err'])
    expect(exit).toEqual({ exitCode: 7, exited: true, status: 'exit status 7', error: 'exit status 7' })
    expect((await collect(client.start(shell('true')))).exit).toEqual({
      exitCode: 0,
      exited: true,
      status: 'exit status 0',
      error: undefined,
    })
  })

  it('passes output on byte by byte', async () => {
    const { next } = await open(client.start(shell('head -c 300000 /dev/zero; printf "\\377\\000\\342"')))
    const pieces: Uint8Array[] = []
    for (let event = await next(); event?.case === 'data'; event = await next()) {
      pieces.push(event.value.output.value as Uint8Array)
    }
    const bytes = Buffer.concat(pieces)
    expect(bytes.length).toBe(300_003)
    expect(bytes.subarray(-3)).toEqual(Buffer.from([0xff, 0, 0xe2]))
  })

  it('gives a process its environment, directory and user', async () => {
    const request = {
      process: { cmd: '/bin/sh', args: ['-c', 'pwd; id -un; echo $A'], envs: { A: 'ä' }, cwd: '/usr' },
    }
    expect((await collect(client.start(request, basic('root')))).stdout).toBe('/usr\nroot\nä\n')
    const unknown = await errorOf(collect(client.start(request, basic('x'))))
    expect([unknown.code, unknown.rawMessage]).toEqual([Code.Unauthenticated, "invalid username: 'x'"])
    const wrong = { process: { ...request.process, cwd: '/x' } }
    const cwd = await errorOf(collect(client.start(wrong)))
    expect([cwd.code, cwd.rawMessage]).toEqual([Code.InvalidArgument, "cwd '/x' does not exist"])
  })

  it('has standard input unless it is refused', async () => {
    const { pid, next } = await open(client.start({ process: { cmd: 'cat' } }))
    await client.sendInput({
      process: { selector: { case: 'pid', value: pid } },
      input: { input: { case: 'stdin', value: Buffer.from('hi') } },
    })
    expect(await next()).toMatchObject({ case: 'data', value: { output: { case: 'stdout' } } })
    await client.closeStdin({ process: { selector: { case: 'pid', value: pid } } })
    expect(await next()).toMatchObject({ case: 'end', value: { exitCode: 0 } })

    const closed = await open(client.start(shell('exec sleep 60')))
    const refused = await errorOf(
      client.sendInput({
        process: { selector: { case: 'pid', value: closed.pid } },
        input: { input: { case: 'stdin', value: Buffer.from('hi') } },
      }),
    )
    expect([refused.code, refused.rawMessage]).toEqual([Code.Internal, 'stdin not enabled or closed'])
    await client.sendSignal({
      process: { selector: { case: 'pid', value: closed.pid } },
      signal: Signal.SIGKILL,
    })
  })

  it('takes streamed input', async () => {
    const tag = `stream-${isBinary}`
    const { next } = await open(client.start({ process: { cmd: 'cat' }, tag }))
    type Request = MessageInitShape<typeof StreamInputRequestSchema>
    async function* requests(): AsyncGenerator<Request> {
      yield { event: { case: 'start', value: { process: { selector: { case: 'tag', value: tag } } } } }
      yield { event: { case: 'keepalive', value: {} } }
      for (const text of ['one ', 'two']) {
        const input = { input: { case: 'stdin' as const, value: Buffer.from(text) } }
        yield { event: { case: 'data', value: { input } } }
      }
    }
    await client.streamInput(requests())
    await client.closeStdin({ process: { selector: { case: 'tag', value: tag } } })
    let output = ''
    for (let event = await next(); event?.case === 'data'; event = await next()) {
      output += Buffer.from(event.value.output.value as Uint8Array).toString()
    }
    expect(output).toBe('one two')
  })

  it('says at once that there is nothing to stream input to', async () => {
    async function* requests(): AsyncGenerator<MessageInitShape<typeof StreamInputRequestSchema>> {
      const process = { selector: { case: 'pid', value: 999_999 } } as const
      yield { event: { case: 'start', value: { process } } }
      await new Promise(() => {})
    }
    const error = await errorOf(client.streamInput(requests()))
    expect([error.code, error.rawMessage]).toEqual([Code.NotFound, 'process with pid 999999 not found'])
  })

  it('lists, connects by tag, signals', async () => {
    const tag = `sleeper-${isBinary}`
    const first = await open(client.start({ ...shell('exec sleep 60'), tag }))
    const { processes } = await client.list({})
    expect(processes.find(({ pid }) => pid === first.pid)).toMatchObject({
      tag,
      config: { cmd: '/bin/sh', args: ['-c', 'exec sleep 60'], envs: {} },
    })
    const second = await open(client.connect({ process: { selector: { case: 'tag', value: tag } } }))
    expect(second.pid).toBe(first.pid)
    const unspecified = { process: { selector: { case: 'tag', value: tag } } } as const
    expect((await errorOf(client.sendSignal(unspecified))).code).toBe(Code.Unimplemented)
    await client.sendSignal({ ...unspecified, signal: Signal.SIGTERM })
    for (const { next } of [first, second]) {
      expect(await next()).toMatchObject({
        case: 'end',
        value: { exitCode: -1, exited: false, status: 'signal: terminated', error: 'signal: terminated' },
      })
      expect(await next()).toBeUndefined()
    }
  })

  it('runs terminals and resizes them', async () => {
    const { pid, next } = await open(
      client.start({ ...shell('read line; stty size'), pty: { size: { cols: 80, rows: 24 } } }),
    )
    const process = { selector: { case: 'pid', value: pid } } as const
    await client.update({ process, pty: { size: { cols: 120, rows: 40 } } })
    await client.sendInput({ process, input: { input: { case: 'pty', value: Buffer.from('\n') } } })
    let output = ''
    let event = await next()
    for (; event?.case === 'data'; event = await next()) {
      expect(event.value.output.case).toBe('pty')
      output += Buffer.from(event.value.output.value as Uint8Array).toString()
    }
    expect(output).toContain('40 120')
    expect(event).toMatchObject({ case: 'end', value: { exitCode: 0 } })
  })

  it('runs terminals that do not know their size', async () => {
    const { next } = await open(client.start({ ...shell('stty size'), pty: { size: { cols: 0, rows: 0 } } }))
    const event = await next()
    expect(
      Buffer.from((event as { value: { output: { value: Uint8Array } } }).value.output.value).toString(),
    ).toBe('0 0\r\n')
  })

  it('says what is wrong', async () => {
    const missing = { process: { selector: { case: 'pid', value: 999_999 } } } as const
    const byTag = { process: { selector: { case: 'tag', value: 'nobody' } } } as const
    const cases: [() => Promise<unknown>, Code, string | RegExp][] = [
      [() => collect(client.connect(missing)), Code.NotFound, 'process with pid 999999 not found'],
      [() => client.closeStdin(byTag), Code.NotFound, "process with tag 'nobody' not found"],
      [() => client.sendSignal({ ...missing, signal: Signal.SIGKILL }), Code.NotFound, /999999 not found/],
      [() => client.sendSignal({ signal: Signal.SIGKILL }), Code.InvalidArgument, /pid or tag/],
      [() => client.sendInput(missing), Code.InvalidArgument, /stdin or pty/],
      [() => client.update(missing), Code.InvalidArgument, /pty.size/],
      [() => collect(client.start({})), Code.InvalidArgument, /process is missing/],
    ]
    for (const [call, code, message] of cases) {
      const error = await errorOf(call())
      expect([error.code, error.rawMessage]).toEqual([code, expect.stringMatching(message)])
    }
  })

  it('kills a process when the time limit of its start has passed', async () => {
    const { pid, next } = await open(
      client.start(shell('sleep 60'), { headers: { 'connect-timeout-ms': '100' } }),
    )
    const error = await errorOf(next())
    expect(error.code).toBe(Code.DeadlineExceeded)
    expect((await client.list({})).processes.some((process) => process.pid === pid)).toBe(false)
  })

  it('does so even when nobody follows any more', async () => {
    const leaving = new AbortController()
    const options = { headers: { 'connect-timeout-ms': '300' }, signal: leaving.signal }
    const { pid } = await open(client.start(shell('sleep 60'), options))
    leaving.abort()
    const isListed = async () => (await client.list({})).processes.some((process) => process.pid === pid)
    expect(await isListed()).toBe(true)
    await expect.poll(isListed, { timeout: 5_000 }).toBe(false)
  })

  it('ends only the stream when the time limit of a connect has passed', async () => {
    const started = await open(client.start(shell('exec sleep 60')))
    const process = { selector: { case: 'pid', value: started.pid } } as const
    const connected = await open(client.connect({ process }, { headers: { 'connect-timeout-ms': '50' } }))
    expect((await errorOf(connected.next())).code).toBe(Code.DeadlineExceeded)
    expect((await client.list({})).processes.some(({ pid }) => pid === started.pid)).toBe(true)
    await client.sendSignal({ process, signal: Signal.SIGKILL })
  })

  it.each(['0', '9999999999'])('takes a time limit of %s ms for what it is', async (timeout) => {
    const options = { headers: { 'connect-timeout-ms': timeout } }
    expect((await collect(client.start(shell('sleep 0.05'), options))).exit.exitCode).toBe(0)
    await client.list({}, options)
  })

  it('refuses a time limit that is none', async () => {
    const options = { headers: { 'connect-timeout-ms': 'soon' } }
    expect((await errorOf(client.list({}, options))).code).toBe(Code.InvalidArgument)
  })

  it('says that it lives while a process is silent', async () => {
    const options = { headers: { 'keepalive-ping-interval': '1' } }
    const { next } = await open(client.start(shell('sleep 1.3; echo x'), options))
    expect((await next())?.case).toBe('keepalive')
    expect((await next())?.case).toBe('data')
    expect((await next())?.case).toBe('end')
  })
})

describe('a process stream', () => {
  it('lets go of the guest when its client leaves, and not of the process', async () => {
    await using peer = await startPeer((socket) => socket.write(frameBytes(frameType.reply, { pid: 5 })))
    await using other = await startEnvd(peer.guest)
    const leaving = new AbortController()
    await open(clientOf(other.url).start(shell('true'), { signal: leaving.signal }))
    const socket = await peer.connection()
    const closed = new Promise((resolve) => socket.once('end', resolve))
    leaving.abort()
    await closed
  })

  it('ends with an error when the guest dies', async () => {
    await using dying = await startAgent()
    await using other = await startEnvd(dying.guest)
    const { next } = await open(clientOf(other.url).start(shell('exec sleep 60')))
    await dying.kill()
    expect((await errorOf(next())).code).toBe(Code.Unavailable)
    expect((await errorOf(clientOf(other.url).list({}))).code).toBe(Code.Unavailable)
  })

  it('ends when the sandbox is gone', async () => {
    const gone = new AbortController()
    await using other = await startEnvd(agent.guest, { gone: gone.signal })
    const { next } = await open(clientOf(other.url).start(shell('sleep 5')))
    gone.abort()
    expect((await errorOf(next())).code).toBe(Code.Unavailable)
  })
})
