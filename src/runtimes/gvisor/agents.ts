/**
 * Agents that are asked by their guests' network, as a sandbox with a socket of the machine's can't be written down. The helper puts
 * the address, and the secret that a connection begins with, into its directory of sockets, which no guest sees.
 */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentAddress } from '../../domain/data-plane.ts'
import { ServerError } from '../../domain/error.ts'
import { connectSocket } from '../../lib/connect-socket.ts'
import type { Agents } from '../host/agents.ts'

/** Of the secret, in hexadecimal digits */
const secretLength = 64
/** The frame of spec/guest.md that the secret is sent in, without it: its length and its type */
const authHeader = Buffer.from([0, 0, 0, secretLength, 0])

export function tcpAgents(root: string): Agents {
  const file = (sandboxId: string, kind: string) => join(root, 'sockets', `${sandboxId}.${kind}`)
  const address = (sandboxId: string): Extract<AgentAddress, { kind: 'tcp' }> => {
    const text = readFileSync(file(sandboxId, 'address'), 'latin1')
    const [, host, port] = /^([\d.]+):(\d+)$/.exec(text) ?? []
    if (host === undefined) throw new Error('The file with the address of a guest is damaged.')
    return { kind: 'tcp', host, port: Number(port), secretFile: file(sandboxId, 'secret') }
  }
  const unavailable = (sandboxId: string, error: unknown) =>
    new ServerError('unavailable', `Sandbox ${sandboxId} does not answer.`, {
      cause: error,
      errno: (error as NodeJS.ErrnoException).code,
    })
  return {
    address(sandboxId) {
      try {
        return address(sandboxId)
      } catch (error) {
        throw unavailable(sandboxId, error)
      }
    },
    async connect(sandboxId, signal) {
      try {
        const { host, port, secretFile } = address(sandboxId)
        const secret = await readFile(secretFile)
        if (secret.length !== secretLength) throw new Error('The file with the secret of a guest is damaged.')
        const socket = await connectSocket({ host, port, noDelay: true }, signal)
        socket.write(Buffer.concat([authHeader, secret]))
        return socket
      } catch (error) {
        signal.throwIfAborted()
        throw unavailable(sandboxId, error)
      }
    },
  }
}
