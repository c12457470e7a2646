import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closed, type EdgeFixture, readAll, readUntil, type StreamKind, startEdge } from './edge.fixture.ts'

describe.each<StreamKind>(['socket', 'stream'])('through a %s', (kind) => {
  let edge: EdgeFixture
  beforeEach(async () => {
    edge = await startEdge(kind)
  })
  afterEach(() => edge[Symbol.asyncDispose]())

  test('a request and its answer arrive as they were sent', async () => {
    let seen: IncomingMessage | undefined
    const port = await edge.serve(async (req, res) => {
      seen = req
      const { body } = await readAll(req)
      res.writeHead(201, 'Made It', [
        ['X-Answer', 'yes'],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
      ] as unknown as string[])
      res.end(`got ${body}`)
    })
    const answer = await edge.send(port, {
      method: 'POST',
      path: '/a/../b%2F?x=%20&y#',
      headers: { 'X-Question': 'why', Cookie: 'c=3' },
      body: 'text',
    })
    expect(answer).toMatchObject({ status: 201, body: 'got text' })
    expect(answer.headers).toMatchObject({ 'x-answer': 'yes', 'set-cookie': ['a=1', 'b=2'] })
    expect(answer.rawHeaders).toContain('X-Answer')
    expect(seen).toMatchObject({ method: 'POST', url: '/a/../b%2F?x=%20&y#' })
    expect(seen?.headers).toMatchObject({ 'x-question': 'why', cookie: 'c=3', 'content-length': '4' })
    expect(seen?.rawHeaders).toContain('X-Question')
  })

  test('both directions stream chunk by chunk', async () => {
    const port = await edge.serve((req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.flushHeaders()
      req.on('data', (chunk) => res.write(`heard ${chunk}`))
      req.on('end', () => res.end())
    })
    const sent = request(edge.to(port, { method: 'POST' }))
    sent.flushHeaders()
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    expect(sent.writableFinished).toBe(false)
    for (const word of ['one', 'two', 'three']) {
      const heard = readUntil(res, new RegExp(`heard ${word}`))
      sent.write(word)
      await heard
    }
    const ended = once(res, 'end')
    sent.end()
    res.resume()
    await ended
  })

  test('50 MB pass in both directions unchanged', async () => {
    const port = await edge.serve((req, res) => {
      req.pipe(res)
    })
    const body = randomBytes(50 << 20)
    const sent = request(edge.to(port, { method: 'PUT' }))
    sent.end(body)
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    const hash = createHash('sha256')
    for await (const chunk of res) hash.update(chunk)
    expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'))
  })

  test('a slow client slows the server inside, and the other way around', async () => {
    let sentBytes = 0
    const chunk = Buffer.alloc(1 << 20)
    const port = await edge.serve((req, res) => {
      if (req.method === 'PUT') return // reads nothing
      const more = () => {
        while (sentBytes < 500 << 20) {
          sentBytes += chunk.length
          if (!res.write(chunk)) return
        }
      }
      res.on('drain', more)
      more()
    })
    const download = request(edge.to(port))
    download.end()
    const [res] = (await once(download, 'response')) as [IncomingMessage]
    res.pause()
    await settled(() => sentBytes)
    expect(sentBytes).toBeLessThan(100 << 20)
    res.destroy()

    const upload = request(edge.to(port, { method: 'PUT' }))
    upload.on('error', () => {})
    let uploaded = 0
    const more = () => {
      while (uploaded < 500 << 20) {
        uploaded += chunk.length
        if (!upload.write(chunk)) return
      }
    }
    upload.on('drain', more)
    more()
    await settled(() => uploaded)
    expect(uploaded).toBeLessThan(100 << 20)
    upload.destroy()
  })

  test('a client that leaves ends the request inside', async () => {
    let left: Promise<void> | undefined
    const port = await edge.serve((req, res) => {
      left = closed(req.socket)
      res.write('begun')
    })
    const sent = request(edge.to(port))
    sent.on('error', () => {})
    sent.end()
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    res.on('error', () => {})
    await readUntil(res, /begun/)
    sent.destroy()
    await left
    await vanished(edge)
  })

  test('a client that leaves in the middle of its body does not look like one that ended it', async () => {
    let arrived: (req: IncomingMessage) => void
    const arrival = new Promise<IncomingMessage>((resolve) => {
      arrived = resolve
    })
    const port = await edge.serve((req) => {
      req.on('error', () => {})
      req.once('data', () => arrived(req))
    })
    const sent = request(edge.to(port, { method: 'POST' }))
    sent.on('error', () => {})
    sent.write('half')
    const req = await arrival
    sent.destroy()
    await closed(req)
    expect(req.complete).toBe(false)
  })

  test('a request with more headers than Node keeps arrives whole, with its body', async () => {
    const port = await edge.serve(async (req, res) => {
      const { rawHeaders, body } = await readAll(req)
      res.end(JSON.stringify({ last: rawHeaders.includes('X-Last'), body }))
    })
    // Node's own server inside drops what is beyond its limit, from the end: the body counts, which comes before.
    const headers = Array.from({ length: 1100 }, () => 'a:b\r\n').join('')
    const routing = `E2b-Sandbox-Id: isandbox\r\nE2b-Sandbox-Port: ${port}\r\n`
    const socket = edge.connect()
    socket.write(`PUT / HTTP/1.1\r\nHost: localhost\r\n${routing}${headers}Content-Length: 5\r\n\r\nhello`)
    expect(await readUntil(socket, /}/)).toContain('"body":"hello"')
    socket.destroy()
  })

  test('the body of a request that asks for an upgrade is never read as another request', async () => {
    let isSmuggled = false
    edge.addSandbox('itwo', (req, res) => {
      isSmuggled = true
      res.end(req.url)
    })
    edge.addSandbox('ione', async (req, res) => res.end(`one ${(await readAll(req)).body.length}`))
    const body = 'GET /smuggled HTTP/1.1\r\nHost: 49983-itwo.localhost\r\n\r\n'
    for (const host of ['localhost', '49983-ione.localhost']) {
      for (const count of [0, 1100]) {
        const headers = Array.from({ length: count }, () => 'a:b\r\n').join('')
        const upgrade = 'Connection: upgrade\r\nUpgrade: websocket\r\n'
        const socket = edge.connect()
        socket.write(
          `POST /a HTTP/1.1\r\nHost: ${host}\r\n${upgrade}${headers}Content-Length: ${body.length}\r\n\r\n${body}`,
        )
        await readUntil(socket, host === 'localhost' ? /smuggled/ : new RegExp(`one ${body.length}`))
        socket.end()
        await closed(socket)
        expect(isSmuggled).toBe(false)
      }
    }
  })

  test('what a client does wrong during an answer breaks it off, and is not answered into it', async () => {
    const port = await edge.serve((_req, res) => {
      res.writeHead(200, { 'content-length': '300' })
      res.write('A'.repeat(50))
    })
    const socket = edge.connect()
    let answer = ''
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1')
    })
    const routing = `E2b-Sandbox-Id: isandbox\r\nE2b-Sandbox-Port: ${port}\r\n`
    socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${routing}\r\n`)
    await expect.poll(() => answer).toContain('A'.repeat(50))
    const ended = once(socket, 'end')
    socket.write('\0 no request\r\n\r\n')
    await ended
    socket.destroy()
    expect(answer).not.toContain('400')
  })

  test('two hosts are one too many', async () => {
    edge.addSandbox('ione')
    const socket = edge.connect()
    socket.write('GET / HTTP/1.1\r\nHost: 49983-ione.localhost\r\nhost: 49983-itwo.localhost\r\n\r\n')
    expect(await readUntil(socket, /}/)).toMatch(/^HTTP\/1\.1 400 [\s\S]*"Invalid host"/)
    socket.destroy()
  })

  test('a tunnel to elsewhere is refused in words', async () => {
    const socket = edge.connect()
    socket.write('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n')
    const ended = once(socket, 'end')
    expect(await readUntil(socket, /}/)).toMatch(/^HTTP\/1\.1 405 /)
    await ended
    socket.destroy()
  })

  test('a client can’t have what the edge says of it removed', async () => {
    const port = await edge.serve((req, res) => res.end(JSON.stringify(req.headers)))
    const named = 'close, x-forwarded-for, x-forwarded-host, x-forwarded-proto'
    const { body } = await edge.send(port, {
      agent: false,
      headers: { connection: named, 'x-forwarded-host': 'a.example', 'x-forwarded-proto': 'https' },
    })
    expect(JSON.parse(body)).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': 'a.example',
      'x-forwarded-proto': 'https',
    })
  })

  test('1000 requests share a few connections', async () => {
    const port = await edge.serve((req, res) => res.end(req.url))
    for (let round = 0; round < 100; round++) {
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, i) => edge.send(port, { path: `/${round}/${i}` })),
      )
      expect(answers.map(({ body }) => body)).toEqual(answers.map((_, i) => `/${round}/${i}`))
    }
    expect(edge.sandbox.dialCount).toBeLessThanOrEqual(20)
  })

  test('a kept connection that the server inside closes meanwhile is replaced', async () => {
    const dropped: Promise<unknown>[] = []
    const port = await edge.serve((req, res) => {
      dropped.push(closed(req.socket))
      res.end('fine')
      // Ends the connection just when the next request may already be on its way.
      res.once('finish', () => req.socket.end())
    })
    for (let i = 0; i < 50; i++) expect(await edge.send(port)).toMatchObject({ status: 200, body: 'fine' })
    await Promise.all(dropped)
    await vanished(edge)
  })

  test('a request with a stale connection is sent again if it may be', async () => {
    let connections = 0
    const port = await edge.serveRaw((socket) => {
      connections++
      let requests = 0
      socket.on('error', () => {})
      socket.on('data', () => {
        requests++
        if (requests > 1) socket.destroy()
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      })
    })
    expect(await edge.send(port)).toMatchObject({ status: 200 })
    expect(await edge.send(port)).toMatchObject({ status: 200 })
    expect(connections).toBe(2)
    expect(await edge.send(port, { method: 'POST', body: 'once' })).toMatchObject({ status: 200 })
    expect(connections).toBe(3)
  })

  test('bytes that nobody asked for are not the next answer', async () => {
    const inside: Socket[] = []
    const port = await edge.serveRaw((socket) => {
      inside.push(socket)
      socket.on('error', () => {})
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nasked'))
    })
    expect(await edge.send(port)).toMatchObject({ body: 'asked' })
    expect(edge.sandbox.dialed.size).toBe(1)
    inside[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
    await vanished(edge)
    expect(await edge.send(port)).toMatchObject({ body: 'asked' })
  })
})

describe('headers', () => {
  let edge: EdgeFixture
  beforeEach(async () => {
    edge = await startEdge()
  })
  afterEach(() => edge[Symbol.asyncDispose]())

  /** Sends raw lines and gives what arrived inside. */
  async function arrivedWith(lines: string[], body = ''): Promise<string> {
    let arrived = ''
    const port = await edge.serveRaw((socket) => {
      socket.on('data', (chunk) => {
        arrived += chunk.toString('latin1')
        if (arrived.includes('\r\n\r\n') && arrived.endsWith(body)) {
          socket.end('HTTP/1.1 204 No Content\r\n\r\n')
        }
      })
    })
    const socket = edge.connect()
    socket.write(`${lines.join('\r\n').replaceAll('<port>', String(port))}\r\n\r\n${body}`, 'latin1')
    await readUntil(socket, /204 No Content/)
    socket.destroy()
    return arrived
  }

  test('that concern one connection or routing stay outside, all others cross', async () => {
    const arrived = await arrivedWith([
      'GET /x HTTP/1.1',
      'host: 127.0.0.1:5000',
      'E2b-Sandbox-Id: isandbox',
      'e2b-sandbox-port: <port>',
      'Connection: keep-alive, X-Private , Content-Length, Host',
      'X-Private: hop',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: secret',
      'TE: trailers',
      'E2b-Traffic-Access-Token: token',
      'X-Access-Token: token',
      'aUTHORIZATION: Basic x',
      'X-Twice: 1',
      'X-Twice: 2',
      'X-Latin: \xe4\xff',
    ])
    expect(arrived.split('\r\n').filter((line) => line !== '')).toEqual([
      'GET /x HTTP/1.1',
      'Host: 127.0.0.1:5000',
      'X-Access-Token: token',
      'aUTHORIZATION: Basic x',
      'X-Twice: 1',
      'X-Twice: 2',
      'X-Latin: \xe4\xff',
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Host: 127.0.0.1:5000',
      'X-Forwarded-Proto: http',
      'Connection: keep-alive',
    ])
  })

  test('of a proxy in front are continued', async () => {
    const arrived = await arrivedWith([
      'GET / HTTP/1.1',
      'Host: <port>-isandbox.e2b.example.com',
      'X-Forwarded-For: 203.0.113.9',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: public.example.com',
    ])
    expect(arrived).toContain('X-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n')
    expect(arrived).toContain('X-Forwarded-Proto: https\r\n')
    expect(arrived).toContain('X-Forwarded-Host: public.example.com\r\n')
    expect(arrived.match(/x-forwarded/gi)).toHaveLength(3)
  })

  test('name the length of a body, or that it has none', async () => {
    const host = 'Host: <port>-isandbox.localhost'
    const head = ['POST / HTTP/1.1', host]
    expect(await arrivedWith([...head, 'Content-Length: 4'], 'text')).toMatch(
      /Content-Length: 4\r\n[\s\S]*\r\n\r\ntext$/,
    )
    expect(await arrivedWith([...head, 'Transfer-Encoding: chunked'], '4\r\ntext\r\n0\r\n\r\n')).toMatch(
      /Transfer-Encoding: chunked\r\n[\s\S]*\r\n\r\n4\r\ntext\r\n0\r\n\r\n$/,
    )
    expect(await arrivedWith(head)).toContain('Content-Length: 0\r\n')
    expect(await arrivedWith(['GET / HTTP/1.1', host])).not.toMatch(/content-length|transfer-encoding/i)
    expect(await arrivedWith(['DELETE / HTTP/1.1', host, 'Content-Length: 2'], 'xx')).toMatch(/\r\n\r\nxx$/)
  })

  test('of the answer that concern one connection stay inside', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () =>
        socket.end(
          'HTTP/1.1 200 Fine\r\nConnection: close, X-Private\r\nX-Private: hop\r\nKeep-Alive: timeout=1\r\n' +
            'X-Kept: 1\r\nX-Kept: 2\r\nServer: inside\r\nContent-Length: 2\r\n\r\nok',
        ),
      )
    })
    const { rawHeaders, status } = await edge.send(port)
    expect(status).toBe(200)
    expect(rawHeaders.slice(0, 8)).toEqual([
      ...['X-Kept', '1', 'X-Kept', '2', 'Server', 'inside', 'Content-Length', '2'],
    ])
    expect(rawHeaders).not.toContain('X-Private')
    expect(rawHeaders).not.toContain('Date')
  })

  test.each([
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ])('an answer without a body has none (%s %d)', async (method, status) => {
    const port = await edge.serve((_req, res) => {
      res.writeHead(status, { etag: '"x"', ...(status === 200 && { 'content-length': '1000' }) })
      res.end()
    })
    for (let i = 0; i < 3; i++) {
      const answer = await edge.send(port, { method })
      expect(answer).toMatchObject({ status, body: '' })
      expect(answer.headers.etag).toBe('"x"')
      if (status === 200) expect(answer.headers['content-length']).toBe('1000')
    }
    expect(edge.sandbox.dialCount).toBe(1)
  })
})

describe('failures', () => {
  let edge: EdgeFixture
  beforeEach(async () => {
    edge = await startEdge()
  })
  afterEach(() => edge[Symbol.asyncDispose]())

  /** A port that was free a moment ago. */
  async function freePort(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    return port
  }

  test('a closed port is said to be closed, after some tries', async () => {
    const port = await freePort()
    const { status, body, headers } = await edge.send(port)
    expect(status).toBe(502)
    expect(headers['content-type']).toBe('application/json; charset=utf-8')
    expect(body).toBe(
      `{"sandboxId":"isandbox","message":"The sandbox is running but port is not open","port":${port},"code":502}`,
    )
    expect(edge.sandbox.dialCount).toBe(5)
  })

  test('an upload to a closed port gets its answer, and the connection lives on', async () => {
    const port = await freePort()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const body = Buffer.alloc(5 << 20)
    expect(await edge.send(port, { method: 'POST', body, agent })).toMatchObject({ status: 502 })
    expect(await edge.send(49_983, { agent })).toMatchObject({ body: 'envd' })
    agent.destroy()
  })

  test('a server that starts late is waited for', async () => {
    const port = await freePort()
    const answer = edge.send(port, { method: 'POST', body: 'early' })
    await expect.poll(() => edge.sandbox.dialCount).toBeGreaterThan(1)
    const server = createServer((req, res) => void req.pipe(res)).listen(port, '127.0.0.1')
    expect(await answer).toMatchObject({ status: 200, body: 'early' })
    server.closeAllConnections()
    server.close()
  })

  test('a client that leaves while a port is tried ends the tries', async () => {
    const port = await freePort()
    const sent = request(edge.to(port, { method: 'POST' }))
    sent.on('error', () => {})
    sent.end('x')
    await expect.poll(() => edge.sandbox.dialCount).toBe(1)
    sent.destroy()
    await delay(400)
    expect(edge.sandbox.dialCount).toBeLessThan(4)
  })

  test('a sandbox that is not there is 502 on every port', async () => {
    for (const port of [80, 49_983]) {
      const { status, body } = await edge.send(port, { id: 'inone' })
      expect(status).toBe(502)
      expect(body).toBe('{"sandboxId":"inone","message":"The sandbox was not found","code":502}')
    }
  })

  test('a wrong route is answered with its error', async () => {
    const { status, body } = await edge.send(0)
    expect(status).toBe(400)
    expect(JSON.parse(body)).toMatchObject({ code: 400, message: expect.stringContaining('Invalid port') })
  })

  test.each([
    ['nothing', ''],
    ['garbage', '\0\0 not HTTP \r\n\r\n'],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['a control character in a header', 'HTTP/1.1 200 OK\r\nX-Bad: a\x01b\r\nContent-Length: 0\r\n\r\n'],
    ['a control character in the status', 'HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n'],
    ['a status that is none', 'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['a huge header', `HTTP/1.1 200 OK\r\nX-Huge: ${'x'.repeat(100_000)}\r\n\r\n`],
    ['an upgrade', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbytes'],
  ])('a server inside that answers %s is 502', async (_name, bytes) => {
    const port = await edge.serveRaw((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(bytes, 'latin1'))
    })
    for (const method of ['GET', 'POST']) {
      const { status, body } = await edge.send(port, { method })
      expect(status).toBe(502)
      expect(JSON.parse(body)).toMatchObject({ sandboxId: 'isandbox', port, code: 502 })
    }
    await vanished(edge)
  })

  test.each([
    ['a length', 'Content-Length: 100\r\n\r\nhalf'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['chunks and then garbage', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n'],
  ])('an answer with %s that breaks off is broken off', async (_name, rest) => {
    const port = await edge.serveRaw((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n${rest}`))
    })
    await expect(edge.send(port)).rejects.toThrow(/aborted|ECONNRESET|hang up/)
  })

  test('an answer without a length ends with its connection', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nall of it'))
    })
    expect(await edge.send(port)).toMatchObject({ status: 200, body: 'all of it' })
  })

  test('a client of HTTP/1.0 gets an answer that ends with its connection', async () => {
    const port = await edge.serve((_req, res) => {
      res.write('one ')
      res.end('two')
    })
    const socket = edge.connect()
    socket.write(`GET / HTTP/1.0\r\nHost: ${port}-isandbox.localhost\r\n\r\n`)
    const text = await readUntil(socket, /two$/)
    expect(text).toMatch(/\r\n\r\none two$/)
    await once(socket, 'end')
  })

  test('an answer that comes before the end of a body arrives, and the rest is discarded', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.on('error', () => {})
      socket.resume()
      socket.once('data', () =>
        socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large'),
      )
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const body = Buffer.alloc(20 << 20)
    for (let i = 0; i < 2; i++) {
      expect(await edge.send(port, { method: 'POST', body, agent })).toMatchObject({
        status: 413,
        body: 'too large',
      })
    }
    agent.destroy()
    await vanished(edge)
  })
})

describe('informational answers', () => {
  let edge: EdgeFixture
  beforeEach(async () => {
    edge = await startEdge()
  })
  afterEach(() => edge[Symbol.asyncDispose]())

  test('a body waits for the server inside to ask for it', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const order: string[] = []
    server.on('checkContinue', async (req: IncomingMessage, res: ServerResponse) => {
      order.push('asked')
      res.writeContinue()
      res.end((await readAll(req)).body)
    })
    const { port } = server.address() as AddressInfo
    const sent = request(edge.to(port, { method: 'POST', headers: { expect: '100-continue' } }))
    sent.flushHeaders()
    await once(sent, 'continue')
    order.push('told')
    sent.end('body')
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    expect((await readAll(res)).body).toBe('body')
    expect(order).toEqual(['asked', 'told'])
    server.closeAllConnections()
    server.close()
  })

  test('a server inside can refuse a body before it is sent', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno'),
      )
    })
    const sent = request(edge.to(port, { method: 'POST', headers: { expect: '100-continue' } }))
    sent.on('continue', () => expect.unreachable())
    sent.flushHeaders()
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    expect(await readAll(res)).toMatchObject({ status: 401, body: 'no' })
  })

  test('envd is not kept waiting for a body', async () => {
    edge.addSandbox('ienvd', async (req, res) => res.end((await readAll(req)).body))
    const sent = request(
      edge.to(49_983, { id: 'ienvd', method: 'POST', headers: { expect: '100-continue' } }),
    )
    sent.flushHeaders()
    await once(sent, 'continue')
    sent.end('body')
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    expect((await readAll(res)).body).toBe('body')
  })

  test('early hints and processing are passed on', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () =>
        socket.end(
          'HTTP/1.1 102 Processing\r\n\r\n' +
            'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n' +
            'HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\n' +
            'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        ),
      )
    })
    const seen: unknown[] = []
    const sent = request(edge.to(port))
    sent.on('information', ({ statusCode, headers }) => seen.push([statusCode, headers.link]))
    sent.end()
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    expect(await readAll(res)).toMatchObject({ status: 200, body: 'ok' })
    expect(seen).toEqual([
      [102, undefined],
      [103, '</a.css>; rel=preload, </b.js>; rel=preload'],
    ])
  })
})

/** Waits until every stream into the sandbox is closed. */
async function vanished(edge: EdgeFixture): Promise<void> {
  await expect.poll(() => edge.sandbox.dialed.size, { timeout: 3000 }).toBe(0)
}

/** Waits until a figure stays the same. */
async function settled(figure: () => number): Promise<void> {
  for (let last = -1; last !== figure(); ) {
    last = figure()
    await delay(200)
  }
}
