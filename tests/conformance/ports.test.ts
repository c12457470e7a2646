import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openConnection } from '../support/connection.ts'
import { isDomainMode, testDomain } from '../support/mode.ts'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

let server: SharedServer
let sandbox: Sandbox
beforeAll(async () => {
  server = await joinSharedServer()
  sandbox = await sdks[0]!.sdk.Sandbox.create({ timeoutMs: 600_000 })
  await sandbox.files.write('server.py', webServer)
  await sandbox.commands.run('python3 server.py 8000', { background: true, timeoutMs: 0 })
  await vi.waitFor(async () => expect((await visit('/hello')).status).toBe(200), { timeout: 10_000 })
})
afterAll(async () => {
  await sandbox?.kill()
  await server[Symbol.asyncDispose]()
})

/** A server inside the sandbox: echoes what it got, and streams on demand. */
const webServer = `
import sys, time, json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        if self.path == '/events':
            self.send_response(200)
            self.send_header('Content-Type', 'text/event-stream')
            self.send_header('Connection', 'close')
            self.end_headers()
            for i in range(3):
                self.wfile.write(b'data: %d\\n\\n' % i)
                self.wfile.flush()
                time.sleep(0.3)
            self.close_connection = True
            return
        self.answer(b'')
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get('Content-Length', 0))))
    def answer(self, body):
        out = json.dumps({'path': self.path, 'host': self.headers.get('Host'), 'length': len(body)}).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(out)))
        self.end_headers()
        self.wfile.write(out)
    def log_message(self, *args): pass
ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
`

function headers(port: number): Record<string, string> {
  return { 'e2b-sandbox-id': sandbox.sandboxId, 'e2b-sandbox-port': String(port) }
}

function visit(path: string, port = 8000, init: RequestInit = {}): Promise<Response> {
  return fetch(`${server.sandboxUrl}${path}`, { ...init, headers: headers(port) })
}

describe('a web server inside, on 127.0.0.1', () => {
  test('by header', async () => {
    expect(await (await visit('/a/b?c=%2Fd')).json()).toMatchObject({ path: '/a/b?c=%2Fd' })
  })

  test('by the name that getHost() gives', async () => {
    const host = sandbox.getHost(8000)
    const { port } = new URL(server.url)
    expect(host).toBe(`8000-${sandbox.sandboxId}.${isDomainMode ? testDomain : `localhost:${port}`}`)
    // As a browser does: *.localhost is this machine, which the system's resolver may not know.
    const socket = openConnection(isDomainMode ? `https://${host}` : `http://127.0.0.1:${port}`)
    socket.write(`GET /by-name HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1.1 200 /)
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ path: '/by-name', host })
  })

  test('a large body goes in', async () => {
    const answer = await visit('/upload', 8000, { method: 'POST', body: Buffer.alloc(10 * 1024 * 1024) })
    expect(await answer.json()).toMatchObject({ length: 10 * 1024 * 1024 })
  })

  test('events arrive one by one', async () => {
    const answer = await visit('/events')
    const arrivals: number[] = []
    for await (const _ of answer.body!) arrivals.push(performance.now())
    expect(arrivals.length).toBeGreaterThanOrEqual(3)
    expect(arrivals.at(-1)! - arrivals[0]!).toBeGreaterThan(400)
  })

  test('an upgrade is passed through as raw bytes', async () => {
    await sandbox.files.write('ws.py', echoServer)
    await sandbox.commands.run('python3 ws.py', { background: true, timeoutMs: 0 })
    await expect.poll(() => upgrade('ping'), { timeout: 10_000 }).toBe('echo:ping')
  })
})

/** Answers any upgrade with 101 and echoes the bytes behind it. */
const echoServer = `
import socket, threading
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('0.0.0.0', 9000)); s.listen()
def serve(c):
    data = b''
    while b'\\r\\n\\r\\n' not in data: data += c.recv(4096)
    c.sendall(b'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: echo\\r\\nConnection: Upgrade\\r\\n\\r\\n')
    while True:
        data = c.recv(4096)
        if not data: break
        c.sendall(b'echo:' + data)
    c.close()
while True: threading.Thread(target=serve, args=(s.accept()[0],)).start()
`

async function upgrade(message: string): Promise<string> {
  const socket = openConnection(server.sandboxUrl)
  const lines = Object.entries(headers(9000)).map((pair) => pair.join(': '))
  socket.write(
    [
      'GET / HTTP/1.1',
      `Host: ${new URL(server.sandboxUrl).host}`,
      'Connection: Upgrade',
      'Upgrade: echo',
      ...lines,
      '',
      '',
    ].join('\r\n'),
  )
  let seen = ''
  for await (const chunk of socket) {
    seen += chunk
    if (seen.includes('502')) return 'not open'
    if (seen.endsWith('\r\n\r\n')) socket.write(message)
    if (seen.includes('echo:')) break
  }
  return seen.split('\r\n\r\n')[1] ?? ''
}

describe('what isn’t there', () => {
  test('a closed port', async () => {
    const answer = await visit('/', 8111)
    expect(answer.status).toBe(502)
    expect(await answer.json()).toEqual({
      sandboxId: sandbox.sandboxId,
      message: 'The sandbox is running but port is not open',
      port: 8111,
      code: 502,
    })
  })

  test.each([8000, 49983])('an unknown sandbox, port %i', async (port) => {
    const unknown = { 'e2b-sandbox-id': 'iaaaaaaaaaaaaaaaaaaaa', 'e2b-sandbox-port': String(port) }
    const answer = await fetch(`${server.sandboxUrl}/health`, { headers: unknown })
    expect(answer.status).toBe(502)
    expect(await answer.json()).toEqual({
      sandboxId: 'iaaaaaaaaaaaaaaaaaaaa',
      message: 'The sandbox was not found',
      code: 502,
    })
  })

  test('a killed one answers as if it had never been', async () => {
    const { Sandbox } = sdks[0]!.sdk
    const other = await Sandbox.create()
    await other.kill()
    const dead = { 'e2b-sandbox-id': other.sandboxId, 'e2b-sandbox-port': '49983' }
    expect((await fetch(`${server.sandboxUrl}/health`, { headers: dead })).status).toBe(502)
  })

  test('control-plane paths of envd', async () => {
    const answer = await visit('/init', 49983, { method: 'POST' })
    expect(answer.status).toBe(404)
    expect(((await answer.json()) as { message: string }).message).toContain(
      'reserved for the E2B control plane',
    )
  })

  test('envd without the sandbox’s token', async () => {
    const answer = await visit('/envs', 49983)
    expect(answer.status).toBe(401)
    expect(await answer.json()).toMatchObject({ code: 401 })
  })
})
