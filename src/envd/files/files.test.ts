import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, mkdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { type AddressInfo, createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import { frameBytes, startPeer } from '../../../tests/support/peer.ts'
import { frameType } from '../../guest/frames.ts'
import { silentLog } from '../../lib/log.ts'
import { createEnvd } from '../envd.ts'

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

const at = (name: string) => join(agent.folder, name)

function urlOf(query: Record<string, string>, base = server.url): string {
  return `${base}/files?${new URLSearchParams(query)}`
}

/** A request that nobody adds headers to or decodes. */
function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    httpRequest(urlOf({ path }), { headers, method }, resolve).on('error', reject).end()
  })
}

async function errorOf(response: Response): Promise<[number, string]> {
  const body = (await response.json()) as { code: number; message: string }
  expect(Object.keys(body).sort()).toEqual(['code', 'message'])
  expect(body.code).toBe(response.status)
  return [response.status, body.message]
}

function put(
  path: string,
  body: NonNullable<RequestInit['body']>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(urlOf({ path }), {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/octet-stream', ...headers },
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  } as RequestInit)
}

function postForm(form: FormData, query: Record<string, string> = {}): Promise<Response> {
  return fetch(urlOf(query), { method: 'POST', body: form })
}

const entry = {
  name: 'a',
  type: 'file',
  path: '/a',
  size: 10,
  mode: 0o644,
  permissions: '-rw-r--r--',
  owner: 'root',
  group: 'root',
  modifiedMs: 1,
}
const endlessEntry = { ...entry, size: 1e12 }

describe('GET /files', () => {
  it('sends a file with its headers', async () => {
    await writeFile(at('hello.txt'), 'hello')
    const response = await get(at('hello.txt'))
    expect(response.statusCode).toBe(200)
    expect(response.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': 'inline; filename=hello.txt',
      'content-length': '5',
      'accept-ranges': 'bytes',
      vary: 'Accept-Encoding',
    })
    expect(await text(response)).toBe('hello')
  })

  it('sends large files whole, at the pace of who reads them', async () => {
    // No two pieces are alike, so one that is overwritten on its way is seen.
    const bytes = randomBytes(5_000_001)
    await writeFile(at('large.bin'), bytes)
    const [slow, fast] = await Promise.all([get(at('large.bin')), get(at('large.bin'))])
    const pieces: Buffer[] = []
    for await (const piece of slow) {
      pieces.push(piece)
      if (pieces.length % 10 === 0) await sleep(5)
    }
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
    expect((await buffer(fast)).equals(bytes)).toBe(true)
  })

  it('sends empty files, and those of the kernel to their end', async () => {
    await writeFile(at('empty'), '')
    const empty = await get(at('empty'))
    expect([empty.statusCode, await text(empty)]).toEqual([200, ''])
    expect(empty.headers).toMatchObject({ 'content-length': '0', 'accept-ranges': 'bytes' })
    const same = await get(at('empty'), { 'if-none-match': empty.headers.etag ?? '' })
    expect([same.statusCode, await text(same)]).toEqual([304, ''])
    const none = await get(at('empty'), { range: 'bytes=0-3' })
    expect([none.statusCode, none.headers['content-range']]).toEqual([416, 'bytes */0'])
    await text(none)
    const proc = await get('/proc/sys/kernel/random/boot_id')
    expect(proc.headers['content-length']).toBeUndefined()
    expect(await text(proc)).toMatch(/^[0-9a-f-]{36}\n$/)
    const ofSystem = '/sys/kernel/mm/transparent_hugepage/enabled'
    await symlink(ofSystem, at('enabled'))
    for (const path of [ofSystem, `/${ofSystem}`, at('enabled')])
      expect(await text(await get(path))).toContain('madvise')
  })

  it('compresses for those who ask for it', async () => {
    await writeFile(at('text'), 'abc'.repeat(10_000))
    const zipped = await get(at('text'), { 'accept-encoding': 'gzip' })
    expect(zipped.headers['content-encoding']).toBe('gzip')
    expect(zipped.headers['content-length']).toBeUndefined()
    expect(gunzipSync(await buffer(zipped)).toString()).toBe('abc'.repeat(10_000))
    const plain = await get(at('text'), { 'accept-encoding': 'gzip, deflate, br' })
    expect(plain.headers['content-encoding']).toBeUndefined()
    await text(plain)
    const refused = await get(at('text'), { 'accept-encoding': 'br, identity;q=0' })
    expect([refused.statusCode, JSON.parse(await text(refused))]).toMatchObject([406, { code: 406 }])
  })

  it('sends parts, and says what has not changed', async () => {
    await writeFile(at('digits'), '0123456789')
    const whole = await get(at('digits'))
    await text(whole)
    const part = await get(at('digits'), { range: 'bytes=2-4', 'accept-encoding': 'gzip' })
    expect([part.statusCode, part.headers['content-range'], await text(part)]).toEqual([
      206,
      'bytes 2-4/10',
      '234',
    ])
    const tail = await get(at('digits'), { range: 'bytes=-3' })
    expect([tail.statusCode, tail.headers['content-length'], await text(tail)]).toEqual([206, '3', '789'])
    const beyond = await get(at('digits'), { range: 'bytes=10-' })
    expect([beyond.statusCode, beyond.headers['content-range']]).toEqual([416, 'bytes */10'])
    await text(beyond)

    const { etag, 'last-modified': modified } = whole.headers
    const same = await get(at('digits'), { 'if-none-match': `"x", W/${etag}` })
    expect([same.statusCode, await text(same)]).toEqual([304, ''])
    const since = await get(at('digits'), { 'if-modified-since': modified ?? '' })
    expect([since.statusCode, await text(since)]).toEqual([304, ''])
    const other = await get(at('digits'), { 'if-match': '"x"' })
    expect([other.statusCode, JSON.parse(await text(other))]).toMatchObject([412, { code: 412 }])
    const current = await get(at('digits'), { range: 'bytes=0-0', 'if-range': etag ?? '' })
    expect(await text(current)).toBe('0')
    await appendFile(at('digits'), 'x')
    const stale = await get(at('digits'), { range: 'bytes=0-0', 'if-range': etag ?? '' })
    expect([stale.statusCode, await text(stale)]).toEqual([200, '0123456789x'])
    const head = await get(at('digits'), {}, 'HEAD')
    expect([head.statusCode, head.headers['content-length'], await text(head)]).toEqual([200, '11', ''])
  })

  it('says what is wrong', async () => {
    expect(await errorOf(await fetch(urlOf({ path: at('missing') })))).toEqual([
      404,
      `path '${at('missing')}' does not exist`,
    ])
    expect((await errorOf(await fetch(urlOf({ path: agent.folder }))))[0]).toBe(400)
    expect(await errorOf(await fetch(urlOf({ path: '/etc/passwd', username: 'x' })))).toEqual([
      401,
      "invalid username: 'x'",
    ])
    const wrong = await fetch(urlOf({ path: '/' }), { method: 'PUT' })
    expect(wrong.headers.get('allow')).toBe('GET, HEAD, POST')
    expect((await errorOf(wrong))[0]).toBe(405)
  })

  it('resolves for the user it is told', async () => {
    if (process.getuid?.() !== 0) return
    await writeFile('/root/.e2b-envd-test', 'x')
    try {
      const response = await fetch(urlOf({ path: '.e2b-envd-test', username: 'root' }))
      expect(await response.text()).toBe('x')
    } finally {
      await rm('/root/.e2b-envd-test')
    }
  })

  const reply = frameBytes(frameType.reply, { entry, hasSize: true })
  const data = (length: number) => frameBytes(frameType.data, Buffer.alloc(length, 'x'))

  it('cuts the response when a file becomes shorter, or the guest dies', async () => {
    const endings = [
      Buffer.concat([data(4), frameBytes(frameType.end, { bytes: 4 })]),
      data(4),
      frameBytes(frameType.error, { code: 'internal', message: 'read failed' }),
    ]
    for (const ending of endings) {
      await using peer = await startPeer((socket) => socket.end(Buffer.concat([reply, ending])))
      await using other = await startEnvd(peer.guest)
      // Where nothing has been sent yet, no response comes at all.
      const body = fetch(urlOf({ path: '/a' }, other.url)).then((response) => response.text())
      await expect(body).rejects.toThrow(/terminated|fetch failed/)
    }
  })

  it('sends a file that grows as long as it was', async () => {
    await using peer = await startPeer((socket) => socket.write(Buffer.concat([reply, data(8), data(8)])))
    await using other = await startEnvd(peer.guest)
    const response = await fetch(urlOf({ path: '/a' }, other.url))
    expect(await response.text()).toBe('x'.repeat(10))
  })

  it('lets go of the guest when its client leaves', async () => {
    await using peer = await startPeer((socket) => {
      socket.write(frameBytes(frameType.reply, { entry: endlessEntry, hasSize: true }))
      const more = () => {
        while (socket.writable && socket.write(data(65_536)));
      }
      socket.on('drain', more)
      more()
    })
    await using other = await startEnvd(peer.guest)
    const response = await fetch(urlOf({ path: '/a' }, other.url))
    const reader = response.body?.getReader()
    await reader?.read()
    const socket = await peer.connection()
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await reader?.cancel()
    await closed
  })
})

describe('POST /files as bytes', () => {
  it('writes a file and describes it', async () => {
    const response = await put(at('up/ä.txt'), 'content')
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual([{ name: 'ä.txt', path: at('up/ä.txt'), type: 'file' }])
    expect(await readFile(at('up/ä.txt'), 'utf8')).toBe('content')
    expect((await stat(at('up/ä.txt'))).mode & 0o777).toBe(0o644)
    expect((await put(at('up/ä.txt'), '')).status).toBe(200)
    expect(await readFile(at('up/ä.txt'), 'utf8')).toBe('')
  })

  it('takes a body of unknown length, and compressed ones', async () => {
    const chunks = Array.from({ length: 40 }, () => Buffer.alloc(50_000, 'x'))
    const stream = Readable.toWeb(Readable.from(chunks)) as ReadableStream
    expect((await put(at('streamed'), stream)).status).toBe(200)
    expect((await stat(at('streamed'))).size).toBe(2_000_000)

    const zipped = gzipSync('unzipped')
    expect((await put(at('zipped'), zipped, { 'content-encoding': 'gzip' })).status).toBe(200)
    expect(await readFile(at('zipped'), 'utf8')).toBe('unzipped')
    const cut = put(at('zipped'), zipped.subarray(0, 15), { 'content-encoding': 'gzip' })
    expect(await errorOf(await cut)).toEqual([400, 'The body is not valid gzip.'])
    const unknown = put(at('zipped'), 'x', { 'content-encoding': 'br' })
    expect((await errorOf(await unknown))[0]).toBe(400)
  })

  it('takes what comes slowly', { timeout: 30_000 }, async () => {
    async function* slow(): AsyncGenerator<Buffer> {
      yield Buffer.from('begun')
      // Longer than an agent may take to answer.
      await new Promise((resolve) => setTimeout(resolve, 11_000))
      yield Buffer.from(' and ended')
    }
    const stream = Readable.toWeb(Readable.from(slow())) as ReadableStream
    expect((await put(at('slow'), stream)).status).toBe(200)
    expect(await readFile(at('slow'), 'utf8')).toBe('begun and ended')
  })

  it('keeps metadata, as a whole', async () => {
    const headers = { 'x-metadata-Author': 'me', 'x-metadata-kind': 'note' }
    const first = (await (await put(at('meta'), 'x', headers)).json()) as { metadata?: object }[]
    // Some file systems have no extended attributes; then there is nothing to see.
    if (first[0]?.metadata !== undefined) expect(first[0].metadata).toEqual({ author: 'me', kind: 'note' })
    expect(await (await put(at('meta'), 'x')).json()).toEqual([
      { name: 'meta', path: at('meta'), type: 'file' },
    ])
    const long = await put(at('meta'), 'x', { 'x-metadata-a': 'x'.repeat(5000) })
    expect((await errorOf(long))[0]).toBe(400)
    const foreign = await put(at('meta'), 'x', { 'x-metadata-a': '\u00e4' })
    expect((await errorOf(foreign))[0]).toBe(400)
  })

  it('says what is wrong, to clients that still send too', async () => {
    const noPath = await fetch(`${server.url}/files`, {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': 'application/octet-stream' },
    })
    expect((await errorOf(noPath))[0]).toBe(400)
    expect((await errorOf(await put(agent.folder, Buffer.alloc(5_000_000))))[0]).toBe(400)
    expect((await errorOf(await put(at('x'), 'x', { 'content-type': 'text/plain' })))[0]).toBe(400)
  })

  it('refuses early without losing the connection', async () => {
    const oneSocket = new Agent({ keepAlive: true, maxSockets: 1 })
    const send = (path: string, body: Buffer) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const headers = { 'content-type': 'application/octet-stream' }
        const options = { method: 'POST', headers, agent: oneSocket }
        httpRequest(urlOf({ path }), options, resolve).on('error', reject).end(body)
      })
    for (const path of [agent.folder, at('kept'), agent.folder, at('kept')]) {
      const response = await send(path, Buffer.alloc(3_000_000))
      expect(response.statusCode).toBe(path === agent.folder ? 400 : 200)
      await text(response)
    }
    oneSocket.destroy()
  })

  it('says when the disk is full', async () => {
    const full = { code: 'resource_exhausted', message: 'No space left on device.', errno: 'ENOSPC' }
    await using peer = await startPeer((socket) => socket.end(frameBytes(frameType.error, full)))
    await using other = await startEnvd(peer.guest)
    const response = await fetch(urlOf({ path: '/a' }, other.url), {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': 'application/octet-stream' },
    })
    expect(await errorOf(response)).toEqual([507, 'No space left on device.'])
  })

  it('lets go of the guest when its client leaves', async () => {
    await using peer = await startPeer((socket) => socket.write(frameBytes(frameType.reply, { path: '/a' })))
    await using other = await startEnvd(peer.guest)
    const { port, hostname } = new URL(other.url)
    const client = createConnection(Number(port), hostname)
    client.write('POST /files?path=a HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n')
    client.write('Content-Length: 100\r\n\r\nsome')
    const socket = await peer.connection()
    const closed = new Promise((resolve) => socket.once('end', resolve))
    socket.once('data', () => client.destroy())
    await closed
  })
})

describe('POST /files as a form', () => {
  it('writes several files in order, under the names they have', async () => {
    const form = new FormData()
    form.append('note', 'a field that is no file')
    form.append('file', new Blob(['one']), at('form/ü 1.txt'))
    form.append('other', new Blob(['skipped']), at('form/skipped'))
    form.append('file', new Blob(['']), at('form/empty'))
    form.append('file', new Blob(['x'.repeat(1_000_000)]), at('form/large'))
    const response = await postForm(form)
    expect(await response.json()).toEqual(
      ['ü 1.txt', 'empty', 'large'].map((name) => ({ name, path: at(`form/${name}`), type: 'file' })),
    )
    expect(await readFile(at('form/ü 1.txt'), 'utf8')).toBe('one')
    expect((await stat(at('form/large'))).size).toBe(1_000_000)
    await expect(stat(at('form/skipped'))).rejects.toThrow('ENOENT')
  })

  it('writes one file to the path of the query', async () => {
    const form = new FormData()
    form.append('file', new Blob(['x']), 'ignored')
    expect(await (await postForm(form, { path: at('named') })).json()).toEqual([
      { name: 'named', path: at('named'), type: 'file' },
    ])
    form.append('file', new Blob(['y']), 'second')
    expect((await errorOf(await postForm(form, { path: at('named') })))[0]).toBe(400)
  })

  it('refuses two files for one path, no file, and broken forms', async () => {
    await mkdir(at('twice'))
    const twice = new FormData()
    twice.append('file', new Blob(['1']), at('twice/a'))
    twice.append('file', new Blob(['2']), at('twice/a'))
    expect((await errorOf(await postForm(twice)))[0]).toBe(400)
    expect(await readFile(at('twice/a'), 'utf8')).toBe('1')

    const none = new FormData()
    none.append('files', new Blob(['1']), at('a'))
    expect((await errorOf(await postForm(none)))[0]).toBe(400)

    const broken: [string, string][] = [
      ['multipart/form-data', 'x'],
      ['multipart/form-data; boundary=b', 'no form'],
      [
        'multipart/form-data; boundary=b',
        `--b\r\nContent-Disposition: form-data; name="file"; filename="${at('cut')}"\r\n\r\nhalf`,
      ],
      [
        'multipart/form-data; boundary=b',
        '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
      ],
    ]
    for (const [type, body] of broken) {
      const response = await fetch(`${server.url}/files`, {
        method: 'POST',
        body,
        headers: { 'content-type': type },
      })
      expect((await errorOf(response))[0]).toBe(400)
    }
  })

  it('refuses a second spelling of a path before that file is touched', async () => {
    if (process.getuid?.() !== 0) return
    const name = `.e2b-envd-test-${process.pid}`
    const spellings = [name, `./${name}`, `~/${name}`, `x/../${name}`, `/root/${name}`, `//root/./${name}`]
    try {
      for (const first of spellings) {
        for (const second of spellings) {
          const form = new FormData()
          form.append('file', new Blob(['first']), first)
          form.append('file', new Blob(['second']), second)
          const response = await postForm(form, { username: 'root' })
          expect([first, second, (await errorOf(response))[0]]).toEqual([first, second, 400])
          expect(await readFile(`/root/${name}`, 'utf8')).toBe('first')
        }
      }
    } finally {
      await rm(`/root/${name}`, { force: true })
    }
  })

  it('takes names that only look alike', async () => {
    const form = new FormData()
    const names = ['a', 'A', 'a ', '..a'].map((name) => at(`alike/${name}`))
    for (const name of names) form.append('file', new Blob([name]), name)
    expect((await postForm(form)).status).toBe(200)
    for (const name of names) expect(await readFile(name, 'utf8')).toBe(name)
  })

  it('passes errors of the first file on while more follow', async () => {
    const form = new FormData()
    form.append('file', new Blob(['x']), agent.folder)
    form.append('file', new Blob(['x'.repeat(3_000_000)]), at('after'))
    expect((await errorOf(await postForm(form)))[0]).toBe(400)
    await expect(stat(at('after'))).rejects.toThrow('ENOENT')
  })
})

describe('a client on whose connection nothing moves', () => {
  const idleTimeoutMs = 200

  /** An envd with little patience, in front of an agent that is never done. */
  async function startImpatient(script: (socket: Socket) => void) {
    const peer = await startPeer(script)
    const envd = createEnvd({ log: silentLog, idleTimeoutMs })
    const target = { guest: peer.guest, sandboxId: 'itest', accessToken: null, envVars: {} }
    const gone = new AbortController().signal
    const impatient = createServer((req, res) => envd.handle({ ...target, gone }, req, res))
    await once(impatient.listen(0, '127.0.0.1'), 'listening')
    return {
      port: (impatient.address() as AddressInfo).port,
      peer,
      async [Symbol.asyncDispose]() {
        impatient.closeAllConnections()
        await new Promise((resolve) => impatient.close(resolve))
        await peer[Symbol.asyncDispose]()
      },
    }
  }

  it('is cut when it stops to send, and its file let go of', async () => {
    await using impatient = await startImpatient(() => {})
    const client = createConnection(impatient.port, '127.0.0.1')
    client.write('POST /files?path=a HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n')
    client.write('Content-Length: 100\r\n\r\n')
    const begun = performance.now()
    const sending = setInterval(() => client.write('x'), idleTimeoutMs / 4)
    const socket = await impatient.peer.connection()
    setTimeout(() => clearInterval(sending), idleTimeoutMs * 2)
    await Promise.all([once(client, 'close'), once(socket.resume(), 'end')])
    expect(performance.now() - begun).toBeGreaterThan(idleTimeoutMs * 2.5)
  })

  it('is cut when it stops to read', async () => {
    await using impatient = await startImpatient((socket) => {
      socket.write(frameBytes(frameType.reply, { entry: endlessEntry, hasSize: true }))
      const more = () => {
        while (socket.writable && socket.write(frameBytes(frameType.data, Buffer.alloc(65_536))));
      }
      socket.on('drain', more)
      more()
    })
    const client = createConnection(impatient.port, '127.0.0.1')
    client.on('error', () => {}).write('GET /files?path=a HTTP/1.1\r\nHost: x\r\n\r\n')
    const socket = await impatient.peer.connection()
    await new Promise((resolve) => socket.once('close', resolve))
    client.destroy()
  })
})

it('keeps what it reads of a file that is truncated meanwhile from being taken for whole', async () => {
  await writeFile(at('shrinking'), Buffer.alloc(30_000_000))
  const response = await get(at('shrinking'))
  response.once('readable', () => void truncate(at('shrinking'), 10))
  await expect(buffer(response)).rejects.toThrow('aborted')
})
