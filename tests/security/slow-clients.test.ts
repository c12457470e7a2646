/** Clients that take their time are many, and nobody else waits for them. */
import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { ask } from './support/ask.ts'
import { attacked } from './support/attacked.ts'

const { url } = attacked()
const { hostname, port } = new URL(url)

test.each([
  ['say nothing', ''],
  ['send half a head', 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: '],
  ['send half a body', 'POST /sandboxes HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{'],
  ['send half a preface', 'PRI * HTTP/2.0\r\n'],
])('500 that %s', async (_name, bytes) => {
  const sockets: Socket[] = []
  try {
    for (let i = 0; i < 500; i++) {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      if (bytes !== '') socket.write(bytes)
      sockets.push(socket)
    }
    for (let i = 0; i < 20; i++) expect((await ask('GET /health')).status).toBe(200)
  } finally {
    for (const socket of sockets) socket.destroy()
  }
})
