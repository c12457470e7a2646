import { EventEmitter, once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { closed, type EdgeFixture, readAll, readUntil, type StreamKind, startEdge } from './edge.fixture.ts'

let edge: EdgeFixture
let session: ClientHttp2Session

async function start(kind?: StreamKind): Promise<void> {
  edge = await startEdge(kind)
  // Its own limit would refuse answers while much is to be sent.
  session = connect(`http://127.0.0.1:${edge.port}`, { maxSessionMemory: 1000 })
  session.on('error', () => {})
}
afterEach(async () => {
  session.destroy()
  await edge[Symbol.asyncDispose]()
})

/** A frame as it is on the wire (RFC 9113 4.1). */
function rawFrame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

/** Headers as literals without an index (RFC 7541 6.2.2), of less than 127 bytes each. */
function literals(headers: Record<string, string>): Buffer {
  const parts = Object.entries(headers).flatMap(([name, value]) => [
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ])
  return Buffer.concat(parts)
}

/** Opens a request to a port of a sandbox. */
function ask(port: number, headers: OutgoingHttpHeaders = {}, options = {}): ClientHttp2Stream {
  const routing = { 'e2b-sandbox-id': 'isandbox', 'e2b-sandbox-port': String(port) }
  const stream = session.request({ ...routing, ...headers }, options)
  stream.on('error', () => {})
  return stream
}

interface Answer {
  headers: IncomingHttpHeaders & { ':status'?: number }
  body: string
}

/** The whole of an answer; rejects when its stream is reset. */
async function read(stream: ClientHttp2Stream): Promise<Answer> {
  const [headers] = (await once(stream, 'response')) as [Answer['headers']]
  let body = ''
  for await (const chunk of stream.setEncoding('utf8')) body += chunk
  return { headers, body }
}

async function send(
  port: number,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
): Promise<Answer> {
  const stream = ask(port, headers, { endStream: body === undefined })
  const answer = read(stream)
  if (body !== undefined) stream.end(body)
  return answer
}

describe.each<StreamKind>(['socket', 'stream'])('HTTP/2 through a %s', (kind) => {
  beforeEach(() => start(kind))

  test('a request and its answer cross as HTTP/1.1', async () => {
    let seen: IncomingMessage | undefined
    const port = await edge.serve(async (req, res) => {
      seen = req
      const { body } = await readAll(req)
      res.writeHead(201, 'Made It', [
        ...['X-Answer', 'yes', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Twice', '1', 'X-Twice', '2'],
        ...['Connection', 'x-private', 'X-Private', 'hop', 'Keep-Alive', 'timeout=5'],
      ])
      res.end(`got ${body}`)
    })
    const answer = await send(
      port,
      {
        ':method': 'POST',
        ':path': '/a/../b%2F?x=%20&y',
        ':authority': 'localhost:1234',
        host: 'elsewhere.example.com',
        'x-question': 'why',
        te: 'trailers',
        cookie: ['c=3', 'd=4'],
      },
      'text',
    )
    expect(answer.body).toBe('got text')
    expect(answer.headers).toMatchObject({ ':status': 201, 'x-answer': 'yes', 'x-twice': '1, 2' })
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
    for (const name of ['connection', 'x-private', 'keep-alive', 'transfer-encoding']) {
      expect(answer.headers).not.toHaveProperty(name)
    }
    expect(seen).toMatchObject({ method: 'POST', url: '/a/../b%2F?x=%20&y', httpVersion: '1.1' })
    expect(seen?.headers).toMatchObject({
      host: 'localhost:1234',
      'x-question': 'why',
      cookie: 'c=3; d=4',
      'transfer-encoding': 'chunked',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': 'localhost:1234',
      'x-forwarded-proto': 'http',
    })
    expect(seen?.rawHeaders.filter((name) => /^:|^te$|sandbox|elsewhere/i.test(name))).toEqual([])
  })

  test('a length that the client gives is kept', async () => {
    let seen: IncomingMessage | undefined
    const port = await edge.serve(async (req, res) => {
      seen = req
      res.end((await readAll(req)).body)
    })
    expect(await send(port, { ':method': 'PUT', 'content-length': 4 }, 'text')).toMatchObject({
      body: 'text',
    })
    expect(seen?.headers).toMatchObject({ 'content-length': '4' })
    expect(seen?.headers).not.toHaveProperty('transfer-encoding')
  })

  test('both directions stream chunk by chunk', async () => {
    const port = await edge.serve((req, res) => {
      res.flushHeaders()
      req.on('data', (chunk) => res.write(`heard ${chunk}`))
      req.on('end', () => res.end())
    })
    const stream = ask(port, { ':method': 'POST' })
    await once(stream, 'response')
    for (const word of ['one', 'two', 'three']) {
      const heard = readUntil(stream, new RegExp(`heard ${word}`))
      stream.write(word)
      await heard
    }
    const ended = once(stream, 'end')
    stream.end()
    stream.resume()
    await ended
  })

  test('20 MB pass in both directions', async () => {
    const port = await edge.serve((req, res) => void req.pipe(res))
    const stream = ask(port, { ':method': 'PUT' })
    stream.end(Buffer.alloc(20 << 20, 'x'))
    let received = 0
    for await (const chunk of stream) received += chunk.length
    expect(received).toBe(20 << 20)
  })

  test('a client that reads nothing slows the server inside, and holds up no other request', async () => {
    let sentBytes = 0
    const chunk = Buffer.alloc(1 << 20)
    const port = await edge.serve((req, res) => {
      if (req.url === '/quick') return res.end('quick')
      const more = () => {
        while (sentBytes < 500 << 20) {
          sentBytes += chunk.length
          if (!res.write(chunk)) return
        }
      }
      res.on('drain', more)
      more()
      return
    })
    const slow = ask(port)
    await once(slow, 'response')
    slow.pause()
    for (let i = 0; i < 20; i++)
      expect(await send(port, { ':path': '/quick' })).toMatchObject({ body: 'quick' })
    expect(sentBytes).toBeLessThan(100 << 20)
    slow.close(constants.NGHTTP2_CANCEL)
    await expect.poll(() => edge.sandbox.dialed.size, { timeout: 3000 }).toBeLessThanOrEqual(1)
  })

  test('an upload that is not read holds up no other request', async () => {
    const port = await edge.serve((req, res) => {
      if (req.url === '/quick') req.resume().on('end', () => res.end('quick'))
    })
    const stuck = ask(port, { ':method': 'PUT' })
    stuck.write(Buffer.alloc(50 << 20))
    for (let i = 0; i < 20; i++) {
      const body = Buffer.alloc(100_000)
      expect(await send(port, { ':path': '/quick', ':method': 'POST' }, body)).toMatchObject({
        body: 'quick',
      })
    }
    stuck.close(constants.NGHTTP2_CANCEL)
  })

  test('a client that cancels ends the request inside, and its connection stays', async () => {
    let left: Promise<unknown> | undefined
    const port = await edge.serve((req, res) => {
      if (req.url === '/other') return res.end('fine')
      left = once(req.socket, 'close')
      res.write('begun')
      return
    })
    const stream = ask(port)
    await readUntil(stream, /begun/)
    stream.close(constants.NGHTTP2_CANCEL)
    await left
    expect(await send(port, { ':path': '/other' })).toMatchObject({ body: 'fine' })
  })
})

describe('HTTP/2', () => {
  beforeEach(() => start())

  test.each([0, 2, 5, 8])('an upload that its client resets with code %i never looks whole', async (code) => {
    const whole: boolean[] = []
    const take = async (req: Readable) => {
      const isWhole = await readAll(req as IncomingMessage).then(
        () => true,
        () => false,
      )
      whole.push(isWhole)
    }
    const begun = new EventEmitter()
    edge.addSandbox('ienvd', (req) => {
      begun.emit('begun')
      void take(req)
    })
    const port = await edge.serve((req) => {
      begun.emit('begun')
      void take(req)
    })
    const socket = connectTcp(edge.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    socket.write(rawFrame(0x4, 0, 0, Buffer.alloc(0)))
    for (const [index, authority] of [`49983-ienvd.localhost`, `${port}-isandbox.localhost`].entries()) {
      const id = 2 * index + 1
      const started = once(begun, 'begun')
      const head = { ':method': 'POST', ':scheme': 'http', ':path': '/', ':authority': authority }
      socket.write(rawFrame(0x1, 0x4, id, literals(head)))
      socket.write(rawFrame(0x0, 0, id, Buffer.from('half of it')))
      await started
      const reason = Buffer.alloc(4)
      reason.writeUInt32BE(code)
      socket.write(rawFrame(0x3, 0, id, reason))
    }
    await expect.poll(() => whole).toEqual([false, false])
    socket.destroy()
  })

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('an answer without a body has none (%s %d)', async (method, status) => {
    const port = await edge.serve((_req, res) => {
      res.writeHead(status, { etag: '"x"', ...(status === 200 && { 'content-length': '1000' }) }).end()
    })
    const { headers, body } = await send(port, { ':method': method })
    expect(headers).toMatchObject({ ':status': status, etag: '"x"' })
    expect(body).toBe('')
  })

  test('names route a request as they do in HTTP/1.1', async () => {
    const port = await edge.serve((req, res) => res.end(req.headers.host))
    const stream = session.request({ ':authority': `${port}-isandbox.e2b.example.com` })
    expect(await read(stream)).toMatchObject({ body: `${port}-isandbox.e2b.example.com` })
  })

  test('requests to the API and envd are served', async () => {
    edge.addSandbox('ienvd', async (req, res) => res.end(`envd ${(await readAll(req)).body}`))
    const api = session.request({ ':method': 'POST' })
    api.end('to the API')
    expect(await read(api)).toMatchObject({ body: 'to the API', headers: { 'x-served-by': 'api' } })
    expect(await send(49_983, { ':method': 'POST', 'e2b-sandbox-id': 'ienvd' }, 'body')).toMatchObject({
      body: 'envd body',
    })
  })

  test('the edge’s own answers arrive', async () => {
    const gone = await send(80, { 'e2b-sandbox-id': 'inone' })
    expect(gone.headers[':status']).toBe(502)
    expect(gone.body).toBe('{"sandboxId":"inone","message":"The sandbox was not found","code":502}')
    expect((await send(0)).headers[':status']).toBe(400)
    const closed = await send(1, { ':method': 'POST' }, Buffer.alloc(5 << 20))
    expect(closed.body).toContain('The sandbox is running but port is not open')
  })

  test.each([
    ['a name with a space', 'HTTP/1.1 200 OK\r\nX Bad: a\r\nContent-Length: 0\r\n\r\n'],
    ['a status that HTTP/2 has no place for', 'HTTP/1.1 999 Odd\r\nContent-Length: 7\r\n\r\nanswer!'],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le'],
  ])('a server inside that answers with %s is 502', async (_name, bytes) => {
    const port = await edge.serveRaw((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(bytes, 'latin1'))
    })
    const { headers, body } = await send(port)
    expect(headers[':status']).toBe(502)
    expect(JSON.parse(body)).toMatchObject({ sandboxId: 'isandbox', port, code: 502 })
  })

  test.each([
    ['a length', 'Content-Length: 100\r\n\r\nhalf'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ])('an answer with %s that breaks off resets its stream only', async (_name, rest) => {
    const port = await edge.serveRaw((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n${rest}`))
    })
    const stream = ask(port)
    await expect(read(stream)).rejects.toThrow()
    expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
    expect(await send(49_983)).toMatchObject({ body: 'envd' })
  })

  test('a target that HTTP/1.1 cannot express does not go inside', async () => {
    let arrived = ''
    const port = await edge.serveRaw((socket) => {
      socket.on('data', (chunk) => {
        arrived += chunk
        socket.end('HTTP/1.1 204 No Content\r\n\r\n')
      })
    })
    await send(port, { ':path': '/a HTTP/1.1' }).catch(() => {})
    expect(arrived).toBe('')
    expect(await send(port)).toMatchObject({ headers: { ':status': 204 } })
  })

  test('a body waits for the server inside to ask for it', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 100 Continue\r\n\r\n')
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
      })
    })
    const stream = ask(port, { ':method': 'POST', expect: '100-continue' })
    const answer = read(stream)
    await once(stream, 'continue')
    stream.end('body')
    expect(await answer).toMatchObject({ body: 'ok' })
  })

  test('early hints and processing are passed on', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () =>
        socket.end(
          'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n' +
            'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        ),
      )
    })
    const stream = ask(port)
    const seen: unknown[] = []
    stream.on('headers', (headers) => seen.push([headers[':status'], headers.link]))
    expect(await read(stream)).toMatchObject({ body: 'ok' })
    expect(seen).toEqual([
      [102, undefined],
      [103, '</a.css>; rel=preload'],
    ])
  })

  test('a response or a request that envd destroys is broken off', async () => {
    const envd: LiveSandbox['envd'] = (req, res) => {
      expect([res.destroyed, res.writableNeedDrain]).toEqual([false, false])
      res.write('begun')
      if (req.url === '/response') res.destroy()
      else req.destroy()
    }
    edge.addSandbox('ibroken', envd)
    for (const path of ['/response', '/request']) {
      const stream = ask(49_983, { 'e2b-sandbox-id': 'ibroken', ':path': path, ':method': 'POST' })
      await expect(read(stream)).rejects.toThrow()
      expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
    }
  })

  test('a sandbox that goes resets its streams, and no others of the connection', async () => {
    const port = await edge.serve((_req, res) => void res.write('begun'))
    edge.addSandbox('iother')
    const live = edge.addSandbox('ilive', (_req, res) => void res.write('begun'))
    const streams = [port, 49_983].map((each) => ask(each, { 'e2b-sandbox-id': 'ilive' }))
    const other = ask(port, { 'e2b-sandbox-id': 'iother' })
    await Promise.all([...streams, other].map((stream) => readUntil(stream, /begun/)))
    const outcomes = streams.map(
      (stream) =>
        new Promise((resolve) => {
          stream.once('end', () => resolve('ended'))
          stream.once('error', (error) => resolve(error.message))
          stream.resume()
        }),
    )
    live.go()
    expect(await Promise.all(outcomes)).toEqual(
      streams.map(() => 'Stream closed with error code NGHTTP2_INTERNAL_ERROR'),
    )
    expect(await send(49_983, { 'e2b-sandbox-id': 'ilive' })).toMatchObject({ headers: { ':status': 502 } })
    expect(await send(49_983, { 'e2b-sandbox-id': 'iother' })).toMatchObject({ body: 'envd' })
    expect(other.closed).toBe(false)
    await expect.poll(() => live.dialed.size).toBe(0)
  })

  test('a connection that breaks ends all its requests inside', async () => {
    const port = await edge.serve((_req, res) => void res.write('begun'))
    const streams = Array.from({ length: 20 }, () => ask(port))
    await Promise.all(streams.map((stream) => readUntil(stream, /begun/)))
    expect(edge.sandbox.dialed.size).toBe(20)
    session.destroy()
    await expect.poll(() => edge.sandbox.dialed.size).toBe(0)
  })

  test('3000 requests are open at once', async () => {
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    let arrived = 0
    edge.addSandbox('imany', async (_req, res) => {
      arrived++
      res.writeHead(200)
      await released
      res.end('done')
    })
    const answers = Array.from({ length: 3000 }, () => send(49_983, { 'e2b-sandbox-id': 'imany' }))
    await expect.poll(() => arrived, { timeout: 15_000 }).toBe(3000)
    release()
    expect((await Promise.all(answers)).every(({ body }) => body === 'done')).toBe(true)
  })
})

describe('the first bytes of a connection', () => {
  beforeEach(() => start())

  function open(): Socket {
    const socket = connectTcp(edge.port, '127.0.0.1')
    socket.on('error', () => {})
    return socket
  }

  test('may come one by one', async () => {
    const socket = open()
    socket.setNoDelay()
    for (const byte of 'POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n') {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const answer = readUntil(socket, /ok/)
    socket.write('ok')
    expect(await answer).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    socket.destroy()
  })

  test.each(['PRI * HTTP/1.1\r\nHost: x\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n', '\0\r\n\r\n'])(
    'that only resemble HTTP/2 are refused as HTTP/1.1 (%j)',
    async (bytes) => {
      const socket = open()
      socket.write(bytes)
      expect(await readUntil(socket, /\}$/)).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/)
    },
  )

  test('may end without a request', async () => {
    const socket = open()
    socket.end('PRI * HT')
    socket.resume()
    await once(socket, 'close')
  })
})

describe('WebSockets (RFC 8441)', () => {
  let port: number
  let arrived: IncomingMessage['headers'] | undefined
  beforeEach(async () => {
    await start()
    const server = new WebSocketServer({ noServer: true, handleProtocols: () => 'chat' })
    port = await edge.serveUpgrades((req, socket, head) => {
      arrived = req.headers
      server.handleUpgrade(req, socket, head, (webSocket) => {
        webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }))
      })
    })
    await once(session, 'remoteSettings')
  })

  const open = (to: number, headers: OutgoingHttpHeaders = {}) =>
    ask(to, {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/socket?x=1',
      ':scheme': 'http',
      'sec-websocket-version': '13',
      ...headers,
    })

  /** A text message as a client frames it (RFC 6455 5.2), masked with zeros. */
  const frame = (text: string) =>
    Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])

  test('are offered', () => {
    expect(session.remoteSettings.enableConnectProtocol).toBe(true)
  })

  test('reach servers inside, which speak HTTP/1.1', async () => {
    const stream = open(port, {
      'sec-websocket-protocol': 'chat',
      origin: 'https://a.example',
      cookie: 'a=1',
    })
    const [headers] = await once(stream, 'response')
    expect(headers).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'chat' })
    expect(headers).not.toHaveProperty('sec-websocket-accept')
    expect(arrived).toMatchObject({
      connection: 'Upgrade',
      upgrade: 'websocket',
      origin: 'https://a.example',
    })
    expect(arrived).not.toHaveProperty('transfer-encoding')
    const echoed = readUntil(stream, /hello there$/)
    stream.write(frame('hello there'))
    await echoed
    stream.close(constants.NGHTTP2_CANCEL)
    await expect.poll(() => edge.sandbox.dialed.size).toBe(0)
  })

  test('are broken off when the sandbox goes', async () => {
    const stream = open(port)
    await once(stream, 'response')
    const gone = closed(stream)
    edge.sandbox.go()
    await gone
    expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
  })

  test('that a server inside doesn’t take get its answer', async () => {
    const plain = await edge.serve((_req, res) => void res.writeHead(403, { 'x-why': 'because' }).end('no'))
    expect(await read(open(plain))).toMatchObject({
      headers: { ':status': 403, 'x-why': 'because' },
      body: 'no',
    })
  })

  test('with a handshake that isn’t an answer to the question fail', async () => {
    const wrong = await edge.serveRaw((socket) => {
      socket.once('data', () =>
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n',
        ),
      )
    })
    expect(await read(open(wrong))).toMatchObject({ headers: { ':status': 502 } })
  })

  test.each([
    [1, 502],
    [49_983, 400],
  ])('to port %i are %i', async (to, status) => {
    expect(await read(open(to))).toMatchObject({ headers: { ':status': status } })
  })

  test('of other kinds, and tunnels to anywhere, are not there', async () => {
    expect(await read(open(port, { ':protocol': 'other' }))).toMatchObject({ headers: { ':status': 405 } })
    const tunnel = session.request({ ':method': 'CONNECT', ':authority': 'example.com:443' })
    expect(await read(tunnel)).toMatchObject({ headers: { ':status': 405 } })
    const api = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/',
      ':scheme': 'http',
    })
    expect(await read(api)).toMatchObject({ headers: { ':status': 400 } })
  })
})
