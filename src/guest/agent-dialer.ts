/**
 * Connections to a guest's agent by its address alone, for processes that have no runtime. A socket is connected to as
 * the inode that was meant, whatever its path or number has become.
 */
import { readFile } from 'node:fs/promises'
import type { AgentAddress } from '../domain/data-plane.ts'
import { ServerError } from '../domain/error.ts'
import { connectSocket } from '../lib/connect-socket.ts'
import type { Landing } from '../lib/landing.ts'
import { linkSignals } from '../lib/linked-signal.ts'
import { type PinnedSocket, pinPlace, pinSocket } from '../lib/pinned-socket.ts'
import { encodeHeader, frameType } from './frames.ts'
import type { Guest } from './guest.ts'

/** Longest wait for room in the queue of an agent, in milliseconds: as long as for its answer, which bursts make late */
const connectMs = 10_000
/** Length of a guest's secret (spec/guest.md) */
const secretHexDigits = 64

export interface AgentDialer extends Guest {
  /** Lets go of what it holds. Connections stay. */
  release(): void
}

/** Opens nothing until the first connection. */
export function createAgentDialer(sandboxId: string, address: AgentAddress): AgentDialer {
  const { dial, release } = address.kind === 'unix' ? unixDialer(address) : tcpDialer(address)
  return {
    release,
    lands: true,
    async connect(signal, landing) {
      const bounded = linkSignals([signal], connectMs)
      try {
        return await dial(bounded.signal, landing)
      } catch (error) {
        signal.throwIfAborted()
        throw new ServerError('unavailable', `Sandbox ${sandboxId} does not answer.`, {
          cause: error,
          errno: (error as NodeJS.ErrnoException).code,
        })
      } finally {
        bounded.dispose()
      }
    },
  }
}

function unixDialer({ path, identity }: Extract<AgentAddress, { kind: 'unix' }>) {
  let pinning: Promise<PinnedSocket> | undefined
  const pin = () => {
    if (pinning !== undefined) return pinning
    const made = identity === undefined ? pinSocket(path) : pinPlace({ path, identity })
    pinning = made
    made.catch(() => {
      if (pinning === made) pinning = undefined
    })
    return made
  }
  return {
    dial: async (signal: AbortSignal, landing?: Landing) => (await pin()).connect(signal, landing),
    release() {
      void pinning?.then(
        (socket) => socket.close(),
        () => {},
      )
      pinning = undefined
    },
  }
}

function tcpDialer({ host, port, secretFile }: Extract<AgentAddress, { kind: 'tcp' }>) {
  let secret: Buffer | undefined
  return {
    async dial(signal: AbortSignal, landing?: Landing) {
      secret ??= await readSecret(secretFile)
      const socket = await connectSocket({ host, port, noDelay: true }, signal, landing)
      socket.write(Buffer.concat([encodeHeader(frameType.auth, secret.length), secret]))
      return socket
    },
    release() {},
  }
}

async function readSecret(path: string): Promise<Buffer> {
  const secret = await readFile(path)
  if (secret.length !== secretHexDigits) throw new Error('The file with the secret of a guest is damaged.')
  return secret
}
