/**
 * The state directory: the database, the API key, the guests' run directories, and `server.json`, which says which
 * process owns the directory and where it listens. Mode 0700, because keys and tokens are in it.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Authority } from '../domain/credentials.ts'
import { ConfigError } from './config.ts'

/** What a running server tells other commands. */
export interface ServerInfo {
  pid: number
  /** Start of the process in clock ticks since boot, so that a reused pid isn't taken for the server */
  processStart: string | null
  /** Base URL of the API, e.g. `http://127.0.0.1:3000`; null until it listens */
  url: string | null
  /** More of how it is reached, once it listens */
  reach?: Reach
}

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
  publish(url: string, reach?: Reach): void
  release(): void
} {
  const lock = new Database(join(stateDir, 'server.lock'))
  try {
    lock.pragma('busy_timeout = 0')
    lock.exec('BEGIN EXCLUSIVE')
  } catch {
    lock.close()
    const pid = readServerInfo(stateDir)?.pid
    throw new ConfigError(
      `Another server${pid === undefined ? '' : `, process id ${pid},`} uses ${stateDir}. Stop it, or choose another --state-dir.`,
    )
  }
  const mine: ServerInfo = { pid: process.pid, processStart: processStart(process.pid), url: null }
  const write = (info: ServerInfo) => writePrivate(infoPath(stateDir), JSON.stringify(info))
  write(mine)
  return {
    publish: (url, reach) => write({ ...mine, url, ...(reach && { reach }) }),
    release() {
      rmSync(infoPath(stateDir), { force: true })
      lock.close()
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

function isAlive({ pid, processStart: start }: ServerInfo): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  return start === null || start === processStart(pid)
}

/** Field 22 of /proc/<pid>/stat; null where there is no /proc. The command name before it may hold anything. */
function processStart(pid: number): string | null {
  const stat = readIfThere(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
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
