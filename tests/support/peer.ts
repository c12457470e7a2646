/** A scripted stand-in for an agent, on a real unix socket: it sends the bytes it is told to, however wrong. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeHeader } from '../../src/guest/frames.ts'
import type { Guest } from '../../src/guest/guest.ts'
import type { Landing } from '../../src/lib/landing.ts'

export interface Peer extends AsyncDisposable {
  guest: Guest
  /** Resolves with the next connection the host has opened and not been given here yet */
  connection(): Promise<Socket>
}

/** `script` runs for each connection once the first bytes of its request have come. */
export async function startPeer(script: (socket: Socket, request: Buffer) => void): Promise<Peer> {
  const folder = await mkdtemp(join(tmpdir(), 'e2b-peer-'))
  const path = join(folder, 'agent.sock')
  const sockets: Socket[] = []
  const waiting: ((socket: Socket) => void)[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', (request) => script(socket, request))
    sockets.push(socket)
    waiting.shift()?.(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  let given = 0
  return {
    guest: { lands: true, connect: (_signal, landing) => connectTo(path, landing) },
    connection() {
      const socket = sockets[given++]
      return socket === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(socket)
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A stream to an agent's unix socket. */
export function connectTo(path: string, landing?: Landing): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true, ...(landing && { onread: landing.onread }) })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

/** One frame of the protocol, with JSON or bytes. */
export function frameBytes(type: number, payload: object | Buffer): Buffer {
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload))
  return Buffer.concat([encodeHeader(type, bytes.length), bytes])
}
