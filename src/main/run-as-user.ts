/**
 * `start --user`: the server as an ordinary user, beside a helper that is root's. The process that was started stays root, has the
 * helper started again when it ends, and reads nothing from outside; the server is a process of its own, as the kernel gives the files
 * of `/proc` of one that has changed its user to root.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { abortable, sleep } from '../lib/deadline.ts'
import { silentLog } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { createHostClient } from '../runtimes/host/host-client.ts'
import { type Config, ConfigError } from './config.ts'
import { requireGuestBinary, requireHostBinary, usualHostRoot } from './installation.ts'

/** Time between two looks at the helper, in ms: where it has ended it is started again */
const lookMs = 1000
/** Longest time for one of these, in ms */
const helloMs = 20_000
const signals = ['SIGINT', 'SIGTERM'] as const

export interface User {
  name: string
  uid: number
  gid: number
}

/** Whom the server is to become; undefined: nobody else. Errors: `ConfigError`. */
export function userOf({ user: name, runtime }: Pick<Config, 'user' | 'runtime'>): User | undefined {
  if (name === undefined) return undefined
  const user = { name, uid: idOf('-u', name), gid: idOf('-g', name) }
  const own = process.getuid?.()
  if (own === user.uid && own !== 0) return undefined
  if (user.uid === 0) throw new ConfigError(`--user ${name} is root. Name an ordinary user.`)
  if (own !== 0) throw new ConfigError('--user needs root, which starts the helper of the native runtime.')
  if (runtime === 'auto' || runtime === 'native') return user
  throw new ConfigError(
    `--user goes with --runtime native: ${
      runtime === 'docker'
        ? "whoever may use a Docker engine's socket is as good as root"
        : 'without isolation sandboxes are processes of the server itself'
    }.`,
  )
}

/** Resolves with the status of the server when that has ended. Errors: `ConfigError`, those of the helper. */
export async function runAs(user: User, config: Config): Promise<number> {
  giveStateDir(config.stateDir, user)
  const root = config.hostRoot ?? usualHostRoot
  const helper = createHostClient({
    root,
    program: {
      file: requireHostBinary(),
      agent: requireGuestBinary(),
      // Two helpers of one name would end each other's guests.
      instance: `u${createHash('sha256').update(root).digest('hex').slice(0, 11)}`,
      // The state directory is the user's, who could have root write elsewhere.
      logFile: `${root}.log`,
      allowUid: user.uid,
    },
    isGuest: true,
    path: config.path,
    network: () => Promise.reject(new Error('What sandboxes may reach is said by the server.')),
    log: silentLog,
  })
  const over = new AbortController()
  try {
    mkdirSync(dirname(root), { recursive: true })
    await helper.hello(patientSignal(helloMs))
    const server = startServerAs(user, config, root)
    const watching = keep(helper, over.signal)
    const [status, killedBy] = (await once(server, 'exit')) as [number | null, NodeJS.Signals | null]
    over.abort()
    await watching
    if (killedBy !== null) console.error(`e2b-server: the server was ended by ${killedBy}`)
    return status ?? 1
  } finally {
    over.abort()
    await helper.close()
  }
}

/** As this process was started, and with its streams; signals are passed on. */
function startServerAs({ name, uid, gid }: User, { stateDir }: Config, root: string) {
  const program = process.argv[1]?.endsWith('.ts') ? process.argv[1] : fileURLToPath(import.meta.url)
  const fixed = ['--runtime', 'native', '--host-root', root, '--state-dir', stateDir]
  const server = spawn(process.execPath, [...process.execArgv, program, ...process.argv.slice(2), ...fixed], {
    // With these Node.js takes all other groups away, too.
    uid,
    gid,
    // Ctrl-C comes to it through this process, once.
    detached: true,
    cwd: '/',
    env: { ...process.env, USER: name, LOGNAME: name, HOME: stateDir },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  server.channel?.unref()
  for (const signal of signals) process.on(signal, () => server.kill(signal))
  return server
}

/** Until the signal aborts. */
async function keep(helper: ReturnType<typeof createHostClient>, over: AbortSignal): Promise<void> {
  let isThere = true
  while (!over.aborted) {
    await sleep(lookMs, over).catch(() => {})
    if (over.aborted) return
    try {
      await abortable(helper.hello(patientSignal(helloMs)), over)
      isThere = true
    } catch (error) {
      if (isThere && !over.aborted)
        console.error(`e2b-server: the helper can't be started: ${(error as Error).message}`)
      isThere = false
    }
  }
}

/** Makes it, or takes one that is the user's already, or empty. Errors: `ConfigError`. */
function giveStateDir(stateDir: string, { name, uid, gid }: User): void {
  const refused = (why: string) =>
    // Not to be given away as a whole: that of a server that was root's may have layers in it which other servers share.
    new ConfigError(
      `The state directory ${stateDir} can't be ${name}'s: ${why}. Choose another with --state-dir.`,
    )
  let folder: number
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 })
    folder = openSync(stateDir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    throw refused((error as Error).message)
  }
  try {
    const names = readdirSync(`/proc/self/fd/${folder}`)
    const owner = fstatSync(folder).uid
    if (owner !== uid && (owner !== 0 || names.length > 0)) throw refused(`it is of the user ${owner}`)
    for (const each of names) {
      const found = lstatSync(join(`/proc/self/fd/${folder}`, each)).uid
      if (found !== uid) throw refused(`${each} in it is of the user ${found}`)
    }
    fchownSync(folder, uid, gid)
    fchmodSync(folder, 0o700)
  } finally {
    closeSync(folder)
  }
}

/** Errors: `ConfigError` for a user whom the machine doesn't know. */
function idOf(what: '-u' | '-g', name: string): number {
  try {
    const said = execFileSync('id', [what, '--', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return Number(said)
  } catch (cause) {
    throw new ConfigError(
      `--user ${name}: this machine has no such user. Make one: useradd --system ${name}`,
      {
        cause,
      },
    )
  }
}
