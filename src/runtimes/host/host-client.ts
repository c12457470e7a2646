/**
 * The helper as the runtime speaks with it: one connection, made when it is first needed and again when it has ended. Where the
 * server may, it starts the helper; one of another build it replaces.
 */
import { join } from 'node:path'
import { ServerError, toError } from '../../domain/error.ts'
import { connectSocket } from '../../lib/connect-socket.ts'
import { abortable, sleep } from '../../lib/deadline.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import type { Log } from '../../lib/log.ts'
import { patientSignal } from '../../lib/patience.ts'
import type { Bounds } from '../../network/rules.ts'
import { type Answer, isAnswer, textOf, textsOf, wholeOf } from './answers.ts'
import { createHostConnection, type HostConnection, unavailable } from './host-connection.ts'
import { buildOf, type HostProgram, startHostProcess } from './host-process.ts'

const protocol = 1
const socketName = 'host.sock'
/** Longest path of its directory: with the socket's name it is what the kernel takes, in bytes */
const rootMaxBytes = 107 - `/${socketName}`.length
/** Longest time for finding or starting the helper, and for saying hello to it, in milliseconds */
const openMs = 20_000
/** How long a call waits for that, in milliseconds */
const openWaitMs = 10_000
/** After an attempt that failed the next calls fail alike for so long, in milliseconds */
const failedMs = 500
/**
 * Age from which on what sandboxes may reach is said again, in milliseconds, as others change the kernel's rules too: behind a
 * start, and before one where it has become that old meanwhile
 */
const agedMs = 5_000
const preparedMs = 10_000
/** Pause between looks whether a helper has ended, in milliseconds */
const againMs = 20
/** Longest time for the helper to end when it is told to, in milliseconds */
const endMs = 10_000

/** What sandboxes may reach, as the helper is told. */
export interface HostNetwork {
  /** All that the machine does, without rules */
  open: boolean
  /** Ranges that are opened beside the internet, IPv4 in CIDR notation */
  allow: readonly string[]
  /** Name servers, IPv4 */
  resolvers: readonly string[]
  /** Of each sandbox */
  bounds: Bounds
}

export interface HostOptions {
  /** The helper's directory */
  root: string
  /** Absent: it is started by others, and only connected to */
  program?: HostProgram
  /** Whether the helper is told nothing of what sandboxes may reach, as that is its server's to say. Default: no */
  isGuest?: boolean
  /** PATH of the helper */
  path: string
  network: () => Promise<HostNetwork>
  log: Log
}

/** What the helper says of itself and the machine. */
export interface HostHello {
  version: string
  pid: number
  /** By name, with why it is missing where it is */
  features: Record<string, { has: boolean | number; why: string | undefined }>
}

export interface HostClient {
  /** Errors: `unavailable`, `failed_precondition` (it can't be started), those of the operation. */
  call(op: string, fields: Answer, signal: AbortSignal): Promise<Answer>
  /** Makes sure that what sandboxes may reach is as it has to be now. Errors: as `call`. */
  prepare(signal: AbortSignal): Promise<void>
  hello(signal: AbortSignal): Promise<HostHello>
  /**
   * From here on guests that end without having been asked to are told, until the connection ends: then it aborts what it
   * resolved with. Errors: as `call`.
   */
  hear(onGone: (sandboxId: string) => void, signal: AbortSignal): Promise<AbortSignal>
  /** Ends the connection, and the helper too where this server can start it again and nobody needs it meanwhile. Never rejects. */
  close(): Promise<void>
}

interface Open {
  connection: HostConnection
  hello: HostHello
  build: string
  /** One of another version does nothing on this connection but say what it is. */
  protocol: number
  ended: AbortSignal
  onGone: (sandboxId: string) => void
}

/** Touches nothing until it is used. */
export function createHostClient(options: HostOptions): HostClient {
  const { root, program, log } = options
  let opening: Promise<Open> | undefined
  let isClosed = false
  let preparedAt = Number.NEGATIVE_INFINITY
  /** Once for all who ask at a time */
  let preparing: Promise<void> | undefined
  let build: Promise<string> | undefined

  const buildKnown = (of: HostProgram) => {
    build ??= buildOf(of).catch((error) => {
      // The next one looks again.
      build = undefined
      throw error
    })
    return build
  }

  /** A connection to a helper that is ours to use, if need be to one that is started for it. */
  const reach = async (signal: AbortSignal): Promise<Open> => {
    checkRoot(root)
    const wanted = program && (await buildKnown(program))
    const found = await dial(root, signal).catch((error: NodeJS.ErrnoException) => {
      signal.throwIfAborted()
      if (isAway(error)) return undefined
      throw unavailable(error)
    })
    if (program === undefined || wanted === undefined) {
      if (found === undefined) throw notThere(root)
      if (found.protocol !== protocol) {
        found.connection.close()
        throw otherProtocol(found.protocol)
      }
      return found
    }
    if (found?.build === wanted) return found
    if (found !== undefined) {
      log.info({}, 'the helper is one of another build, and is replaced')
      await endHelper(found, signal)
    }
    for (;;) {
      await startHostProcess(program, { root, build: wanted, path: options.path }, signal)
      try {
        const started = await dial(root, signal)
        if (started.protocol === protocol) return started
        started.connection.close()
        throw otherProtocol(started.protocol)
      } catch (error) {
        // One that was about to end had the root still.
        if (error instanceof ServerError && error.code === 'failed_precondition') throw error
        if (!isAway(error as NodeJS.ErrnoException)) throw unavailable(error)
        await sleep(againMs, signal)
      }
    }
  }

  const prepareOn = async ({ connection }: Open, signal: AbortSignal) => {
    if (options.isGuest === true) return
    await connection.call('prepare', { network: await options.network() }, signal)
    preparedAt = performance.now()
  }

  const openAnew = async (): Promise<Open> => {
    const signal = patientSignal(openMs)
    const open = await reach(signal)
    try {
      await prepareOn(open, signal)
      return open
    } catch (error) {
      open.connection.close()
      throw error
    }
  }

  const open = async (signal: AbortSignal): Promise<Open> => {
    if (isClosed) throw unavailable()
    opening ??= begin()
    const bounded = linkSignals([signal], openWaitMs)
    try {
      return await abortable(opening, bounded.signal)
    } catch (error) {
      signal.throwIfAborted()
      throw bounded.signal.aborted ? unavailable(error) : toError(error)
    } finally {
      bounded.dispose()
    }
  }
  /** Known until it has ended, or for a moment where it failed. */
  const begin = (): Promise<Open> => {
    const attempt = openAnew()
    const forget = () => {
      if (opening === attempt) opening = undefined
    }
    attempt.then(
      ({ ended }) => {
        if (ended.aborted) forget()
        ended.addEventListener('abort', forget, { once: true })
      },
      (error) => {
        log.debug({ err: error }, 'the helper is not reached')
        setTimeout(forget, failedMs).unref()
      },
    )
    return attempt
  }

  return {
    call: async (op, fields, signal) => (await open(signal)).connection.call(op, fields, signal),
    async prepare(signal) {
      const there = await open(signal)
      const ageMs = performance.now() - preparedAt
      if (ageMs < agedMs) return
      if (preparing === undefined) {
        preparing = prepareOn(there, patientSignal(openMs)).finally(() => (preparing = undefined))
        // Whoever waits for it is told.
        preparing.catch((error) => log.debug({ err: error }, 'what sandboxes may reach was not said again'))
      }
      if (ageMs >= preparedMs) await abortable(preparing, signal)
    },
    hello: async (signal) => (await open(signal)).hello,
    async hear(onGone, signal) {
      const there = await open(signal)
      there.onGone = onGone
      await there.connection.call('watch', {}, signal)
      return there.ended
    },
    async close() {
      isClosed = true
      const there = await opening?.catch(() => undefined)
      if (there === undefined) return
      // Refused while there are guests, and needless where it has ended by itself.
      if (program !== undefined) await endUnused(there).catch(() => {})
      there.connection.close()
    },
  }
}

/** Whether nobody listens, or whoever does is about to end. */
function isAway({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'unavailable'
}

/** Connects and says hello. Errors: those of the system; `unavailable`; as the helper says. */
async function dial(root: string, signal: AbortSignal): Promise<Open> {
  const stream = await connectSocket({ path: join(root, socketName) }, signal)
  const ending = new AbortController()
  const connection = createHostConnection(stream, {
    onGone: (sandboxId) => open?.onGone(sandboxId),
    onEnd: () => ending.abort(),
  })
  let open: Open | undefined
  try {
    const answer = await connection.call('hello', { protocol }, signal)
    const [build, version] = [textOf(answer, 'build'), wholeOf(answer, 'protocol')]
    const known = { build, protocol: version, ended: ending.signal }
    open = { connection, hello: readHello(answer), ...known, onGone: () => {} }
    return open
  } catch (error) {
    connection.close()
    throw error
  }
}

/** Resolves when it has ended, with all that it had of the machine. Errors: `conflict` while somebody needs it, the signal's reason. */
async function endUnused({ connection, hello }: Open): Promise<void> {
  const signal = patientSignal(endMs)
  while (!(await isEnding(connection, signal))) await sleep(againMs, signal)
  while (isAlive(hello.pid)) await sleep(againMs, signal)
}

/** False while it only hasn't seen yet that another connection has ended. Errors: as `endUnused`. */
async function isEnding(connection: HostConnection, signal: AbortSignal): Promise<boolean> {
  try {
    await connection.call('end', {}, signal)
    return true
  } catch (error) {
    const isInUse = error instanceof ServerError && error.code === 'conflict'
    if (!isInUse || textsOf(await connection.call('list', { limit: 1 }, signal), 'sandboxes').length > 0)
      throw error
    return false
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Ends a helper, which leaves its guests. Errors: the signal's reason. */
async function endHelper({ hello, connection, ended }: Open, signal: AbortSignal): Promise<void> {
  const gone = new Promise<void>((resolve) => {
    if (ended.aborted) resolve()
    ended.addEventListener('abort', () => resolve(), { once: true })
  })
  try {
    process.kill(hello.pid, 'SIGTERM')
    await abortable(gone, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  } finally {
    connection.close()
  }
}

function readHello(answer: Answer): HostHello {
  const given = isAnswer(answer.features) ? answer.features : {}
  const features = Object.entries(given).map(([name, value]) => {
    const { has, why } = isAnswer(value) ? value : { has: value, why: undefined }
    const known = typeof has === 'number' ? has : has === true
    return [name, { has: known, why: typeof why === 'string' ? why : undefined }]
  })
  return {
    version: textOf(answer, 'version'),
    pid: wholeOf(answer, 'pid'),
    features: Object.fromEntries(features),
  }
}

/** Its paths are for whoever runs the server, so they stand in the cause. */
function notThere(root: string): ServerError {
  const cause = new Error(`No helper listens at ${join(root, socketName)}. Start it, as deploy/systemd does.`)
  return new ServerError('unavailable', 'The helper that makes sandboxes does not run.', { cause })
}

function otherProtocol(version: number): ServerError {
  return new ServerError(
    'failed_precondition',
    `The helper that makes sandboxes speaks version ${version} of its protocol, and this server version ${protocol}. Start the ` +
      'one that came with the server.',
  )
}

/** Errors: `failed_precondition` for a directory whose sockets the kernel could not name. */
function checkRoot(root: string): void {
  const bytes = Buffer.byteLength(root)
  if (bytes <= rootMaxBytes) return
  throw new ServerError(
    'failed_precondition',
    `The path of the helper's directory has ${bytes} bytes, and sockets can be in one of ${rootMaxBytes} at most. Choose another ` +
      'with --state-dir or --host-root.',
  )
}
