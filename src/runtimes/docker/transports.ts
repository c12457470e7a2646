import type { Duplex } from 'node:stream'
import type { AgentAddress } from '../../domain/data-plane.ts'
import { ServerError } from '../../domain/error.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import type { EngineHost } from './engine-host.ts'
import { chooseTransport } from './fingerprint.ts'
import type { DockerGuest, TransportName } from './handle.ts'
import type { RunMounts } from './run-mounts.ts'
import { createTcpTransport } from './tcp-transport.ts'
import type { Transport } from './transport.ts'
import { createUnixTransport } from './unix-transport.ts'

/** Longest wait for an agent to accept a connection, in milliseconds */
const connectMs = 1_500

/** All ways to agents: guests keep theirs when the choice for new ones changes. */
export interface Transports {
  /** The one for new guests. Errors as `Engine.call`. */
  forStart(signal: AbortSignal): Promise<Transport>
  /** The one of a guest. */
  of(guest: DockerGuest): Transport
  /** A new stream to a guest's agent, half-open. Errors: `unavailable`. */
  connect(guest: DockerGuest, directory: string, signal: AbortSignal): Promise<Duplex>
  /** Where others reach it. */
  address(guest: DockerGuest, directory: string): AgentAddress
  release(sandboxId: string): Promise<void>
  close(): Promise<void>
}

export function createTransports(
  engineHost: EngineHost,
  mounts: RunMounts,
  choice: 'auto' | TransportName,
): Transports {
  const transports = { unix: createUnixTransport(mounts), tcp: createTcpTransport() }
  const all = Object.values(transports)
  let chosen = choice === 'auto' ? undefined : choice

  return {
    async forStart(signal) {
      const host = { platform: process.platform, uid: process.getuid?.() ?? -1 }
      chosen ??= chooseTransport(await engineHost.info(signal), host)
      return transports[chosen]
    },
    of: (guest) => transports[guest.transport],
    async connect(guest, directory, signal) {
      const bounded = linkSignals([signal], connectMs)
      try {
        return await transports[guest.transport].connect(guest, directory, bounded.signal)
      } catch (error) {
        if (signal.aborted || !bounded.signal.aborted) throw error
        throw new ServerError('unavailable', `Sandbox ${guest.sandboxId} does not answer.`, { cause: error })
      } finally {
        bounded.dispose()
      }
    },
    address: (guest, directory) => transports[guest.transport].address(guest, directory),
    async release(sandboxId) {
      await Promise.all(all.map((transport) => transport.release(sandboxId)))
    },
    async close() {
      await Promise.all(all.map((transport) => transport.close()))
    },
  }
}
