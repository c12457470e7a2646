/**
 * The agent behind a TCP port that the engine publishes on 127.0.0.1, for engines that unix sockets don't cross to
 * (Docker Desktop's virtual machine). Whoever connects proves to know the guest's secret first (spec/guest.md). The
 * secret lies in the run directory, which is where the agent reads it; it is in no handle, label or argument.
 */

import { randomBytes } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ServerError } from '../../domain/error.ts'
import { connectSocket } from '../../lib/connect-socket.ts'
import { patientSignal } from '../../lib/patience.ts'
import { guestFolder, type Transport } from './transport.ts'

/** The agent's port inside a container */
export const agentPort = 49982
const secretName = 'secret'
const secretHexDigits = 64
const frameHeaderBytes = 5
const frameType = { auth: 0x00, request: 0x01, reply: 0x02 }
/** Pause between attempts to reach a starting agent, in milliseconds; no event crosses to the virtual machine */
const attemptPauseMs = 20
/** Longest wait for the answer to one attempt, in milliseconds */
const attemptMs = 1000

export function createTcpTransport(): Transport {
  const secrets = new Map<string, Buffer>()

  const secretOf = async (sandboxId: string, directory: string) => {
    const known = secrets.get(sandboxId)
    if (known !== undefined) return known
    const secret = await readFile(join(directory, secretName))
    if (secret.length !== secretHexDigits) throw new Error('The file with the secret of a guest is damaged.')
    secrets.set(sandboxId, secret)
    return secret
  }
  const dial = async (sandboxId: string, port: number, directory: string, signal: AbortSignal) => {
    try {
      const secret = await secretOf(sandboxId, directory)
      const socket = await connectSocket({ host: '127.0.0.1', port, noDelay: true }, signal)
      socket.write(frame(frameType.auth, secret))
      return socket
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw new ServerError('unavailable', `Sandbox ${sandboxId} does not answer.`, {
        cause: error,
        errno: (error as NodeJS.ErrnoException).code,
      })
    }
  }

  return {
    name: 'tcp',
    async prepare(directory) {
      const path = join(directory, secretName)
      const file = await open(path, 'wx', 0o600)
      try {
        await file.writeFile(randomBytes(secretHexDigits / 2).toString('hex'))
      } finally {
        await file.close()
      }
      const target = `${guestFolder}/${secretName}`
      return {
        args: ['--listen', `tcp:0.0.0.0:${agentPort}`, '--secret-file', target],
        mounts: [{ Type: 'bind', Source: path, Target: target, ReadOnly: true }],
        portBindings: { [`${agentPort}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: '' }] },
      }
    },
    // The guest can't write to what is in there, and a new agent reads the same secret.
    async reset() {},
    // The engine's proxy accepts connections before the agent does, so only an answer shows that the agent is there.
    async ready({ sandboxId, port }, directory, signal) {
      for (;;) {
        const attempt = AbortSignal.any([signal, patientSignal(attemptMs)])
        try {
          const socket = await dial(sandboxId, port, directory, attempt)
          if (await answersHello(socket, attempt)) return
        } catch {
          signal.throwIfAborted()
        }
        await delay(attemptPauseMs, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    },
    connect: ({ sandboxId, port }, directory, signal) => dial(sandboxId, port, directory, signal),
    address: ({ port }, directory) => ({
      kind: 'tcp',
      host: '127.0.0.1',
      port,
      secretFile: join(directory, secretName),
    }),
    async release(sandboxId) {
      secrets.delete(sandboxId)
    },
    async close() {
      secrets.clear()
    },
  }
}

/** Sends `hello` and tells whether a reply begins to come. Closes the socket. */
function answersHello(socket: Socket, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (answer: boolean) => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(answer)
    }
    const onAbort = () => settle(false)
    signal.addEventListener('abort', onAbort, { once: true })
    let received = Buffer.alloc(0)
    socket.on('error', () => settle(false))
    socket.on('end', () => settle(false))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length >= frameHeaderBytes) settle(received[4] === frameType.reply)
    })
    socket.write(frame(frameType.request, Buffer.from('{"op":"hello"}')))
  })
}

function frame(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(frameHeaderBytes)
  header.writeUInt32BE(payload.length)
  header[4] = type
  return Buffer.concat([header, payload])
}
