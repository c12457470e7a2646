import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closed, type EdgeFixture, readUntil, type StreamKind, startEdge } from './edge.fixture.ts'

let edge: EdgeFixture
afterEach(() => edge[Symbol.asyncDispose]())

const switching =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Key: accepted\r\n\r\n'

/** Asks for an upgrade on a bare connection. */
function ask(port: number, more: { body?: string; headers?: string[]; upgrade?: string } = {}): Socket {
  const socket = edge.connect()
  const lines = [
    'GET /socket?x=1 HTTP/1.1',
    `Host: ${port}-isandbox.localhost`,
    'Connection: keep-alive, Upgrade',
    `Upgrade: ${more.upgrade ?? 'websocket'}`,
    'Sec-WebSocket-Key: abc',
    'E2b-Sandbox-Id: iother',
    ...(more.headers ?? []),
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n${more.body ?? ''}`)
  return socket
}

describe.each<StreamKind>(['socket', 'stream'])('through a %s', (kind) => {
  beforeEach(async () => {
    edge = await startEdge(kind)
  })

  test('an upgrade becomes two joined streams, what was sent early included', async () => {
    let request = ''
    const port = await edge.serveRaw((socket) => {
      socket.once('data', (chunk) => {
        request = chunk.toString()
        socket.write(`${switching}greeting`)
        socket.on('data', (data) => socket.write(`echo ${data}`))
      })
    })
    const socket = ask(port, { body: 'early' })
    expect(await readUntil(socket, /greetingecho early$/)).toBe(`${switching}greetingecho early`)
    for (const word of ['one', 'two']) {
      const echo = readUntil(socket, new RegExp(`echo ${word}`))
      socket.write(word)
      await echo
    }
    expect(request).toMatch(/^GET \/socket\?x=1 HTTP\/1.1\r\nHost: \d+-isandbox.localhost\r\n/)
    expect(request).toContain('\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n')
    expect(request).toContain('\r\nSec-WebSocket-Key: abc\r\n')
    expect(request).toContain('\r\nX-Forwarded-For: 127.0.0.1\r\n')
    expect(request).not.toMatch(/e2b-sandbox-/i)
  })

  test('many bytes cross both ways', async () => {
    const total = 20 << 20
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () => {
        socket.write(switching)
        socket.pipe(socket)
      })
    })
    const socket = ask(port)
    await readUntil(socket, /accepted\r\n\r\n$/)
    let received = 0
    const all = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        received += chunk.length
        if (received === total) resolve()
      })
    })
    for (let sent = 0; sent < total; sent += 1 << 20) {
      if (!socket.write(Buffer.alloc(1 << 20))) await once(socket, 'drain')
    }
    await all
  })

  test('one direction may end before the other', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () => {
        socket.write(switching)
        socket.once('end', () => socket.end('last words'))
      })
    })
    const socket = ask(port)
    await readUntil(socket, /accepted\r\n\r\n$/)
    const ended = once(socket, 'end')
    const last = readUntil(socket, /last words$/)
    socket.end()
    await last
    await ended
    await vanished()
  })

  test('either side that breaks off ends the other', async () => {
    const inside: Socket[] = []
    const port = await edge.serveRaw((socket) => {
      inside.push(socket)
      socket.on('error', () => {})
      socket.once('data', () => socket.write(switching))
    })
    const first = ask(port)
    await readUntil(first, /accepted\r\n\r\n$/)
    inside[0]?.resume()
    first.resetAndDestroy()
    await once(inside[0]!, 'end')
    inside[0]?.end()

    const second = ask(port)
    await readUntil(second, /accepted\r\n\r\n$/)
    second.resume()
    inside[1]?.resetAndDestroy()
    await closed(second)
    await vanished()
  })

  test('a client that leaves before the answer ends the attempt', async () => {
    let arrived: (socket: Socket) => void
    const arrival = new Promise<Socket>((resolve) => {
      arrived = resolve
    })
    const port = await edge.serveRaw((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => arrived(socket))
    })
    const socket = ask(port)
    const inside = await arrival
    inside.resume()
    socket.end()
    await once(inside, 'end')
    inside.end()
    await vanished()
  })
})

describe('an upgrade', () => {
  beforeEach(async () => {
    edge = await startEdge()
  })

  test.each([
    ['a length', 'Content-Length: 2\r\n\r\nno'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'],
  ])('that is refused with %s ends with that answer', async (_name, rest) => {
    const port = await edge.serveRaw((socket) => {
      socket.on('error', () => {})
      let asked = 0
      socket.on('data', () => {
        asked++
        socket.write(asked === 1 ? `HTTP/1.1 403 Forbidden\r\nX-Why: because\r\n${rest}` : 'second request!')
      })
    })
    const socket = ask(port)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
      socket.write('GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n')
    })
    await once(socket, 'end')
    expect(text).toMatch(/^HTTP\/1.1 403 Forbidden\r\nX-Why: because\r\n/)
    expect(text).toMatch(/\r\nConnection: close\r\n\r\nno$/)
    await vanished()
  })

  test('of a closed port gets an answer', async () => {
    const socket = ask(1)
    const text = await readUntil(socket, /\}$/)
    expect(text).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n/)
    expect(text).toContain('The sandbox is running but port is not open')
    await once(socket, 'end')
  })

  test('of envd is not made, and the request is served', async () => {
    expect(await readUntil(ask(49_983), /envd/)).toMatch(/^HTTP\/1.1 200 OK\r\n/)
  })

  test('of a sandbox that is not there gets an answer', async () => {
    edge.sandbox.go()
    const text = await readUntil(ask(80), /\}$/)
    expect(text).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n/)
    expect(text).toMatch(/\{"sandboxId":"isandbox","message":"The sandbox was not found","code":502\}$/)
  })

  test('that is answered with garbage gets a 502', async () => {
    const port = await edge.serveRaw((socket) => {
      socket.once('data', () => socket.end('garbage\r\n\r\n'))
    })
    expect(await readUntil(ask(port), /\}$/)).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n/)
  })

  test('to h2c is not made, and the request is served', async () => {
    const port = await edge.serve(
      (req, res) => void req.pipe(res.writeHead(200, { 'x-seen': String(req.headers.upgrade) })),
    )
    const socket = ask(port, {
      upgrade: 'h2c',
      headers: ['HTTP2-Settings: AAMAAABkAAQAAP__', 'Content-Length: 4'],
      body: 'body',
    })
    const text = await readUntil(socket, /body/)
    expect(text).toContain('\r\nx-seen: undefined\r\n')
  })

  test('of the API is not made, and its connection goes on as HTTP', async () => {
    const socket = edge.connect()
    for (const body of ['first', 'second']) {
      const answer = readUntil(socket, new RegExp(`${body}\r\n0\r\n\r\n$`))
      socket.write(
        'POST /sandboxes HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n' +
          `HTTP2-Settings: x\r\nTransfer-Encoding: chunked\r\n\r\n`,
      )
      socket.write(`${body.length}\r\n${body}\r\n0\r\n\r\n`)
      expect(await answer).toMatch(/^HTTP\/1.1 200 OK\r\nx-served-by: api\r\n/)
    }
  })
})

/** Waits until every stream into the sandbox is closed. */
async function vanished(): Promise<void> {
  await expect.poll(() => edge.sandbox.dialed.size, { timeout: 3000 }).toBe(0)
}
