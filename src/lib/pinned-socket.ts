/**
 * A unix socket in a directory that somebody hostile can write to. Opened once as an inode and without following a
 * symbolic link, then connected to through that inode: whatever the path becomes later, connections go to the socket
 * that was seen. Goes through /proc, so it is Linux only, and the length of the path doesn't matter.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import { connectSocket } from './connect-socket.ts'
import { sleep } from './deadline.ts'
import type { Landing } from './landing.ts'
import { createSemaphore } from './semaphore.ts'
import { watchUntil } from './watch-until.ts'

/** Linux's O_PATH, which `fs.constants` lacks: names an inode without opening what it stands for. */
const O_PATH = 0o10000000

/** Pause before trying again to connect to a listener whose queue is full, in milliseconds */
const backlogRetryMs = 5

/** Pause between looks for a socket when no file system event comes, in milliseconds */
const lookMs = 100
/** Pause before trying a socket again that nobody listens on: between bind and listen lies a moment, in milliseconds */
const listenMs = 2

export interface PinnedSocket {
  /**
   * A new connection, half-open (each side ends on its own). Rejects with the system's error (`ECONNREFUSED` when
   * nobody listens any more) or the signal's reason. `landing` as of `connectSocket`.
   */
  connect(signal: AbortSignal, landing?: Landing): Promise<Socket>
  /**
   * Where another process of this user finds the same inode as long as it is held here, and which inode that is: the
   * number of a file descriptor may soon be another file's.
   */
  readonly place: { path: string; identity: SocketIdentity }
  /** Lets go of the inode. Connections stay. Idempotent. */
  close(): Promise<void>
}

/** Which inode it is, as decimal numbers. */
export interface SocketIdentity {
  dev: string
  ino: string
}

/** Rejects with a system error: `ENOENT`, or `ENOTSOCK` for anything that isn't itself a socket. */
export function pinSocket(path: string): Promise<PinnedSocket> {
  return pin(path, constants.O_NOFOLLOW)
}

/**
 * Pins what another process has pinned (`place`). Rejects with a system error: `ENOENT` when that is no longer there, and
 * `ESTALE` when something else is.
 */
export async function pinPlace({ path, identity }: PinnedSocket['place']): Promise<PinnedSocket> {
  const pinned = await pin(path, 0)
  const found = pinned.place.identity
  if (found.dev === identity.dev && found.ino === identity.ino) return pinned
  await pinned.close()
  throw systemError('ESTALE', `${path} is another socket`)
}

/** Looks at once: such an open waits for nothing, and takes far less time than having another thread do it. */
async function pin(path: string, flags: number): Promise<PinnedSocket> {
  const inode = openSync(path, O_PATH | flags)
  let identity: SocketIdentity
  try {
    const stat = fstatSync(inode, { bigint: true })
    if (!stat.isSocket()) throw systemError('ENOTSOCK', `${path} is not a socket`)
    identity = { dev: String(stat.dev), ino: String(stat.ino) }
  } catch (error) {
    closeSync(inode)
    throw error
  }
  let pinned: number | undefined = inode
  /** Held by the one that tries again where the listener's queue is full: all at once would take its time for nothing */
  const retrying = createSemaphore(1)
  let queued = 0

  const tryOnce = async (signal: AbortSignal, landing?: Landing): Promise<Socket | undefined> => {
    signal.throwIfAborted()
    if (pinned === undefined) throw systemError('ECONNREFUSED', 'the socket was let go')
    try {
      return await connectSocket({ path: `/proc/self/fd/${pinned}` }, signal, landing)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      return undefined
    }
  }
  const tryInTurn = async (signal: AbortSignal, landing?: Landing): Promise<Socket> => {
    const release = await retrying.acquire(signal)
    try {
      for (;;) {
        const socket = await tryOnce(signal, landing)
        if (socket !== undefined) return socket
        await sleep(backlogRetryMs, signal)
      }
    } finally {
      release()
    }
  }

  return {
    place: { path: `/proc/${process.pid}/fd/${inode}`, identity },
    async connect(signal, landing) {
      const first = queued === 0 ? await tryOnce(signal, landing) : undefined
      if (first !== undefined) return first
      queued++
      try {
        return await tryInTurn(signal, landing)
      } finally {
        queued--
      }
    },
    async close() {
      const held = pinned
      pinned = undefined
      if (held !== undefined) closeSync(held)
    },
  }
}

/**
 * The socket at `path` once somebody listens on it; its directory must exist. Rejects with the signal's reason when it
 * aborts first.
 */
export async function awaitListener(path: string, signal: AbortSignal): Promise<PinnedSocket> {
  let found: PinnedSocket | undefined
  const look = async () => {
    const pinned = await pinSocket(path).catch(() => undefined)
    try {
      const connection = await pinned?.connect(signal)
      if (connection === undefined) return lookMs
      connection.destroy()
      found = pinned
      return true
    } catch {
      // A stale socket that is about to be replaced, or one that is bound and about to listen.
      await pinned?.close()
      return listenMs
    }
  }
  await watchUntil(dirname(path), look, signal)
  if (found === undefined) throw systemError('ENOENT', `nobody listens at ${path}`)
  return found
}

function systemError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}
