/** What other commands do with the server of a state directory: ask how it is, stop it. */
import { existsSync } from 'node:fs'
import type { ServerStatus } from '../cli/actions.ts'
import type { Store } from '../domain/store.ts'
import { sleep } from '../lib/deadline.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { ConfigError } from './config.ts'
import { ask } from './doctor/ask.ts'
import { databasePath, isAlive, isClaimed, readServerInfo, type ServerInfo, tryLock } from './state-dir.ts'

/** How long a server may take to end: it may have to end all its sandboxes first. In milliseconds. */
const stopMs = { limit: 120_000, look: 50 }

export type SandboxCounts = ServerStatus['sandboxes']

export async function serverStatus(stateDir: string): Promise<ServerStatus> {
  const info = readServerInfo(stateDir)
  const sandboxes = existsSync(databasePath(stateDir))
    ? await withDatabase(stateDir, countSandboxes)
    : { running: 0, paused: 0 }
  if (info === undefined) return { stateDir, sandboxes, server: null }
  const { pid, url, version = null, startedAt = null } = info
  return { stateDir, sandboxes, server: { pid, url, version, startedAt, state: await stateOf(info) } }
}

async function stateOf(info: ServerInfo): Promise<NonNullable<ServerStatus['server']>['state']> {
  if (info.isStopping) return 'stopping'
  const { url, reach } = info
  if (url === null || reach === undefined) return 'starting'
  const status = await ask({ ...info, url, reach }, '/health').catch(() => undefined)
  return status === 200 ? 'answering' : 'silent'
}

/**
 * Ends the server of a state directory as Ctrl-C would, and waits until its process is gone. Undefined: there is none.
 * Errors: `ConfigError` when it may not be signalled, or hasn't ended after two minutes.
 */
export async function stopServer(
  stateDir: string,
  limitMs = stopMs.limit,
): Promise<SandboxCounts | undefined> {
  const info = readServerInfo(stateDir)
  if (info === undefined || !isClaimed(stateDir)) return undefined
  // A server that ends takes a second signal for impatience and drops what it does: one command signals, others wait.
  const lock = tryLock(stateDir, 'stop.lock')
  try {
    if (lock !== undefined && !info.isStopping) signal(info)
    await untilEnded(info, limitMs)
  } finally {
    lock?.release()
  }
  return await withDatabase(stateDir, countSandboxes)
}

async function untilEnded(info: ServerInfo, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs
  while (isAlive(info)) {
    if (performance.now() > deadline) {
      throw new ConfigError(
        `The server, process id ${info.pid}, has been told to stop and has not ended after ${limitMs / 1000} s. "npx e2b-server logs" may say what it waits for.`,
      )
    }
    await sleep(stopMs.look)
  }
}

function signal({ pid }: ServerInfo): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ESRCH') return
    throw new ConfigError(`The server, process id ${pid}, belongs to another user: stop it as that user.`)
  }
}

/** How many sandboxes there are, whoever's. */
export async function countSandboxes({ sandboxes }: Store): Promise<SandboxCounts> {
  return {
    running: await sandboxes.count({ states: ['running'] }),
    paused: await sandboxes.count({ states: ['paused'] }),
  }
}

async function withDatabase<T>(stateDir: string, use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openSqliteStore({ path: databasePath(stateDir) })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}
