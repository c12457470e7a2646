/** A helper's side of the socket, for tests of what the client does with answers that the real one gives rarely. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Channel, createChannel } from '../../lib/channel.ts'
import type { Answer } from './answers.ts'

export interface PeerRequest {
  id: number
  op: string
  fields: Answer
  /** Sends an answer. */
  ok(answer?: Answer): void
  fail(code: string, message?: string): void
}

export const hello = {
  version: '1.2.3',
  protocol: 1,
  instance: 'test',
  build: 'one',
  pid: process.pid,
  features: {
    cgroup: { has: 2 },
    network: { has: true },
    seccomp: { has: true },
    userNamespace: { has: false, why: 'This kernel maps no mounts.' },
  },
}

export type HostPeer = Awaited<ReturnType<typeof startPeer>>

/** Greets, takes what is prepared, and hands on every other request. */
export async function startPeer(onRequest: (request: PeerRequest) => void, greeting: Answer = hello) {
  const root = await mkdtemp(join(tmpdir(), 'e2b-peer-'))
  const asked: string[] = []
  const connections = new Set<{ socket: Socket; channel: Channel }>()
  const server = createServer((socket) => {
    const channel = createChannel(socket, 2 ** 20, {
      onMessage(message) {
        const { id, op, ...fields } = message as { id: number; op: string }
        asked.push(op)
        const ok = (answer: Answer = {}) => void channel.send({ id, ok: answer })
        const fail = (code: string, text = 'A reason.') =>
          void channel.send({ id, error: { code, message: text } })
        if (op === 'hello') ok(greeting)
        else if (op === 'prepare') ok()
        else onRequest({ id, op, fields, ok, fail })
      },
      onEnd: () => connections.delete(connection),
    })
    const connection = { socket, channel }
    connections.add(connection)
  })
  server.listen(join(root, 'host.sock'))
  await once(server, 'listening')
  return {
    root,
    /** Names of all operations that came, in their order */
    asked,
    /** Sends to every connection. */
    tell: (event: Answer) => {
      for (const { channel } of connections) channel.send(event)
    },
    /** Writes bytes to every connection. */
    write: (bytes: Buffer) => {
      for (const { socket } of connections) socket.write(bytes)
    },
    /** Ends every connection, as a helper that dies. */
    cut: () => {
      for (const { socket } of connections) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      server.close()
      for (const { socket } of connections) socket.destroy()
      await rm(root, { recursive: true })
    },
  }
}
