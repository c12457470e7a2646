/**
 * The agent behind a unix socket in the guest's run directory. The guest's root owns that directory and may put
 * anything in the socket's place, such as a link to a socket of the host; so the socket is opened once as an inode,
 * without following links, and every connection goes through that.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerError } from '../../domain/error.ts'
import { awaitListener, type PinnedSocket, pinSocket } from '../../lib/pinned-socket.ts'
import { removeTree } from '../../lib/remove-tree.ts'
import type { RunMounts } from './run-mounts.ts'
import { guestFolder, type Transport } from './transport.ts'

const socketName = 'agent.sock'

export function createUnixTransport(mounts: RunMounts): Transport {
  const pins = new Map<string, Promise<PinnedSocket>>()
  /** Those of them that are there */
  const pinned = new Map<string, PinnedSocket>()

  const pin = (sandboxId: string, directory: string) => {
    const known = pins.get(sandboxId)
    if (known !== undefined) return known
    const pinning = pinSocket(join(directory, socketName))
    pins.set(sandboxId, pinning)
    pinning.then(
      (socket) => {
        if (pins.get(sandboxId) === pinning) pinned.set(sandboxId, socket)
      },
      () => {
        if (pins.get(sandboxId) === pinning) pins.delete(sandboxId)
      },
    )
    return pinning
  }
  const release = async (sandboxId: string) => {
    const released = pins.get(sandboxId)
    pins.delete(sandboxId)
    pinned.delete(sandboxId)
    await released?.then(
      (socket) => socket.close(),
      () => {},
    )
  }
  const open = async (sandboxId: string, directory: string, signal: AbortSignal) =>
    (await pin(sandboxId, directory)).connect(signal)

  return {
    name: 'unix',
    async prepare(directory, signal) {
      await mounts.mount(directory, signal)
      return {
        args: ['--listen', `unix:${guestFolder}/socket/${socketName}`],
        mounts: [{ Type: 'bind', Source: directory, Target: `${guestFolder}/socket` }],
        portBindings: {},
      }
    },
    // The engine binds whatever directory is there at the start. All in it is of the guest's making.
    async reset(directory, signal) {
      await mounts.unmount(directory, signal)
      await removeTree(directory, signal)
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await mounts.mount(directory, signal)
    },
    async ready({ sandboxId }, directory, signal) {
      // A thawed guest is reached as before, whatever it has done to its socket's path.
      if (await answers(pins.get(sandboxId), signal)) return
      await release(sandboxId)
      const socket = await awaitListener(join(directory, socketName), signal)
      pins.set(sandboxId, Promise.resolve(socket))
      pinned.set(sandboxId, socket)
    },
    address({ sandboxId }, directory) {
      const place = pinned.get(sandboxId)?.place
      return place === undefined
        ? { kind: 'unix', path: join(directory, socketName) }
        : { kind: 'unix', ...place }
    },
    async connect({ sandboxId }, directory, signal) {
      try {
        return await open(sandboxId, directory, signal)
      } catch (error) {
        if (signal.aborted) throw error
        throw new ServerError('unavailable', `Sandbox ${sandboxId} does not answer.`, {
          cause: error,
          errno: (error as NodeJS.ErrnoException).code,
        })
      }
    },
    release,
    async close() {
      await Promise.all([...pins.keys()].map(release))
    },
  }
}

async function answers(pinned: Promise<PinnedSocket> | undefined, signal: AbortSignal): Promise<boolean> {
  try {
    const connection = await (await pinned)?.connect(signal)
    connection?.destroy()
    return connection !== undefined
  } catch {
    signal.throwIfAborted()
    return false
  }
}
