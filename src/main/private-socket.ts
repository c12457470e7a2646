/**
 * The API's own listener: a unix socket in the state directory, which only the server's user enters. It is named through
 * the directory's descriptor, as the system limits the length of a socket's path.
 */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Server } from 'node:net'
import { join } from 'node:path'

const socketName = 'api.sock'

export interface PrivateSocket {
  /** Where other processes of this user connect to as long as this one lives */
  path: string
  /** Lets go of the directory. Idempotent. */
  close(): Promise<void>
}

/** The state directory is this process's own, so what stands there is what one that was killed has left. */
export async function listenPrivately(server: Server, stateDir: string): Promise<PrivateSocket> {
  rmSync(join(stateDir, socketName), { force: true })
  const folder = await open(stateDir, 'r')
  try {
    server.listen(`/proc/self/fd/${folder.fd}/${socketName}`)
    await once(server, 'listening')
  } catch (error) {
    await folder.close()
    throw error
  }
  let held: typeof folder | undefined = folder
  return {
    path: `/proc/${process.pid}/fd/${folder.fd}/${socketName}`,
    async close() {
      const closing = held
      held = undefined
      await closing?.close()
    },
  }
}
