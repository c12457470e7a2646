/** Starts the helper where this server may: detached, as it outlives the server. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { open, readFile, stat } from 'node:fs/promises'
import { ServerError } from '../../domain/error.ts'
import { abortable } from '../../lib/deadline.ts'

/** Without a connection for so long it ends, in seconds: guests live on, and the next one finds them */
const lingerSeconds = 10
/** Most that is read of what it says on standard output, in bytes: it is one word */
const saidMaxBytes = 1024
/** Exit status of one that found another for the same root (spec/host.md) */
const statusTaken = 75

/** How the helper is started. */
export interface HostProgram {
  /** Path of `e2b-host` */
  file: string
  /** Path of the agent */
  agent: string
  /** The server's id in names: `[a-z0-9]{4,16}` */
  instance: string
  /** Where the machine's helpers share layers */
  shared?: string
  /** Who may connect, beside root */
  allowUid?: number
  /** Path of gVisor's program */
  runsc?: string
  /** Path of the file that its log is appended to, which it keeps short itself */
  logFile: string
}

/** Tells programs apart by what is in their files and whom they serve, for `--build`. Errors: `failed_precondition` where one is missing. */
export async function buildOf({ file, agent, allowUid, runsc }: HostProgram): Promise<string> {
  const hash = createHash('sha256')
  try {
    for (const path of [file, agent]) hash.update(await readFile(path))
    if (allowUid !== undefined) hash.update(`uid ${allowUid}`)
    if (runsc !== undefined) hash.update(await marksOf(runsc))
  } catch (cause) {
    const message = 'The helper that makes sandboxes is not built. Run "npm start", which builds it.'
    throw new ServerError('failed_precondition', message, { cause })
  }
  return hash.digest('hex').slice(0, 32)
}

/** Which file a path stands for, without a look into it: it has a hundred megabytes. One that is missing is for the helper to say. */
async function marksOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  return JSON.stringify([path, found?.ino, found?.size, found?.mtimeMs])
}

/**
 * Resolves when it listens, or another one has the root. Errors: `failed_precondition` when it ends without, the signal's reason;
 * one that is slow goes on starting.
 */
export async function startHostProcess(
  program: HostProgram,
  { root, build, path }: { root: string; build: string; path: string },
  signal: AbortSignal,
): Promise<void> {
  const log = await open(program.logFile, 'a', 0o600)
  const { instance, agent, shared, allowUid, runsc } = program
  const options = {
    ...{ instance, agent, root, build },
    ...(shared !== undefined && { shared }),
    ...(runsc !== undefined && { runsc }),
    ...(allowUid !== undefined && { 'allow-uid': `${allowUid}` }),
  }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  try {
    const child = spawn(program.file, ['serve', ...args, '--linger', String(lingerSeconds)], {
      detached: true,
      stdio: ['ignore', 'pipe', log.fd],
      cwd: '/',
      env: { PATH: path },
    })
    child.unref()
    const { stdout } = child
    if (stdout === null) throw new Error('It has no standard output')
    const ready = new Promise<void>((resolve, reject) => {
      let said = ''
      stdout.on('data', (bytes: Buffer) => {
        said += bytes.toString('latin1')
        if (said.startsWith('ready\n')) resolve()
        else if (said.length > saidMaxBytes) stdout.destroy()
      })
      child.on('error', reject)
      child.on('exit', (status, killedBy) => {
        if (status === statusTaken) resolve()
        else reject(new Error(`It ended with ${killedBy ?? `status ${status}`}`))
      })
    })
    ready.catch(() => {})
    try {
      await abortable(ready, signal)
    } finally {
      stdout.destroy()
    }
  } catch (error) {
    signal.throwIfAborted()
    // Its path is for whoever runs the server.
    const message = `${(error as Error).message}. ${program.logFile} says more.`
    const cause = new Error(message, { cause: error })
    throw new ServerError('failed_precondition', "The helper that makes sandboxes can't be started.", {
      cause,
    })
  } finally {
    await log.close()
  }
}
