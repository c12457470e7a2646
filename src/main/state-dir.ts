/**
 * The state directory: the database, the API key, the guests' run directories, and `server.json`, which says which
 * process owns the directory and where it listens. Mode 0700, because keys and tokens are in it.
 */

import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Authority } from '../domain/credentials.ts'
import type { Log } from '../lib/log.ts'
import { ConfigError } from './config.ts'

/** What a running server tells other commands. */
export interface ServerInfo {
  pid: number
  /** Start of the process in clock ticks since boot, so that a reused pid isn't taken for the server */
  processStart: string | null
  /** Unix milliseconds */
  startedAt?: number
  /** Base URL of the API, e.g. `http://127.0.0.1:3000`; null until it listens */
  url: string | null
  /** More of how it is reached, once it listens */
  reach?: Reach
  /** Of the program that it runs */
  version?: string
  keySource?: KeySource
  /** It ends on its own; another signal would cut that short */
  isStopping?: boolean
}

/** Where a server has the key from that it was given; never the key. Null: it made one, kept in this directory. */
export type KeySource = { variable: string } | { file: string } | null

/** How clients reach a server. */
export interface Reach {
  /** Where it listens */
  host: string
  port: number
  /** Of debug mode; null: it is off */
  debugPort: number | null
  /** What SDKs take as `E2B_DOMAIN`; null: names are not the way */
  domain: string | null
  /** What clients have to trust; null: nothing that they don't already */
  authority: Authority | null
  /** Where its DNS responder listens */
  dns: { address: string; port: number } | null
}

export const databasePath = (stateDir: string) => join(stateDir, 'e2b-server.db')
export const apiKeyPath = (stateDir: string) => join(stateDir, 'api-key')
export const adminTokenPath = (stateDir: string) => join(stateDir, 'admin-token')
export const templateFilesPath = (stateDir: string) => join(stateDir, 'template-files')
const infoPath = (stateDir: string) => join(stateDir, 'server.json')

export function prepareStateDir(stateDir: string): void {
  try {
    // Node's recursive mkdir never ends where the kernel's own file systems refuse one.
    if (/^\/(proc|sys)(\/|$)/.test(stateDir)) throw new Error("it is the kernel's")
    mkdirSync(stateDir, { recursive: true, mode: 0o700 })
    chmodSync(stateDir, 0o700)
  } catch (error) {
    throw new ConfigError(
      `The state directory ${stateDir} can't be used (${(error as Error).message}). Choose another with --state-dir.`,
    )
  }
}

/**
 * Makes this process the directory's owner, by a lock that the kernel frees when the process ends, however it ends.
 * Errors: `ConfigError` when another one is.
 */
export function claimStateDir(stateDir: string): {
  /** Tells other commands more, besides what they were told before. */
  publish(more: Partial<Omit<ServerInfo, 'pid' | 'processStart' | 'startedAt'>>): void
  /** Tells them that it stops. Where that can't be written, as on a full disk, it stops all the same. */
  publishStop(log: Log): void
  release(): void
} {
  const lock = tryLock(stateDir, 'server.lock')
  if (lock === undefined) {
    const pid = readServerInfo(stateDir)?.pid
    throw new ConfigError(
      `Another server${pid === undefined ? '' : `, process id ${pid},`} uses ${stateDir}. Stop it, or choose another --state-dir.`,
    )
  }
  const mine: ServerInfo = {
    pid: process.pid,
    processStart: statOf(process.pid)?.start ?? null,
    startedAt: Date.now(),
    url: null,
  }
  const write = () => writePrivate(infoPath(stateDir), JSON.stringify(mine))
  write()
  return {
    publish(more) {
      Object.assign(mine, more)
      write()
    },
    publishStop(log) {
      try {
        this.publish({ isStopping: true })
      } catch (error) {
        log.warn({ err: error }, 'that the server stops is not recorded')
      }
    },
    release() {
      rmSync(infoPath(stateDir), { force: true })
      lock.release()
    },
  }
}

/** The directory's owner if it is alive. */
export function readServerInfo(stateDir: string): ServerInfo | undefined {
  const text = readIfThere(infoPath(stateDir))
  if (text === undefined) return undefined
  const info = parseInfo(text)
  return info !== undefined && isAlive(info) ? info : undefined
}

/** A file that isn't whole says nothing. */
function parseInfo(text: string): ServerInfo | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether it is the same process still. One that has ended and that its parent doesn't look at is not. */
export function isAlive({ pid, processStart }: Pick<ServerInfo, 'pid' | 'processStart'>): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const stat = statOf(pid)
  if (stat !== null && /[ZX]/.test(stat.state)) return false
  return processStart === null || processStart === stat?.start
}

/**
 * Whether some process has the directory's lock. Takes it for a moment where none has, so this is for a directory that
 * a live process claims to own.
 */
export function isClaimed(stateDir: string): boolean {
  const lock = tryLock(stateDir, 'server.lock')
  lock?.release()
  return lock === undefined
}

/**
 * A lock that the kernel frees when this process ends, however it ends; undefined where another process has it. `name`:
 * of its file in the state directory.
 */
export function tryLock(stateDir: string, name: string): { release(): void } | undefined {
  const database = new Database(join(stateDir, name), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
    return { release: () => void database.close() }
  } catch {
    database.close()
    return undefined
  }
}

/** State and start of a process; null where there is no /proc. The command name before them may hold anything. */
function statOf(pid: number): { state: string; start: string } | null {
  const stat = readIfThere(`/proc/${pid}/stat`)
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  const [state, start] = [fields[0], fields[19]]
  return state !== undefined && start !== undefined ? { state, start } : null
}

/** A file's text, undefined when there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Writes a file with mode 0600, whole or not at all. */
export function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
