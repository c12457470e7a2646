/**
 * The data workers: processes of this program that take in tenants' bytes. The owner accepts connections and hands each
 * to one of them unread, in turns, so that none is lost while one of them is started again.
 *
 *   starting ──ready──▶ serving ──exit, stuck──▶ (a pause) ──▶ starting
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'
import type { WorkerLoad } from '../domain/telemetry.ts'
import { sleep } from '../lib/deadline.ts'
import type { Log } from '../lib/log.ts'
import type { Attached, Feed } from './feed.ts'
import type { WorkerSettings } from './messages.ts'

/** Pauses before a worker that keeps ending is started again, in milliseconds; the last one goes on. */
const restartPausesMs = [0, 100, 500, 2000, 5000]
/** A worker that has served for so long has its next pause from the beginning, in milliseconds. */
const steadyMs = 30_000
/** How long a worker may take until it serves, in milliseconds. */
const startTimeoutMs = 60_000
/** How long a worker that was told to end may take, in milliseconds. */
const endTimeoutMs = 5_000
/** How long handing over a connection may take, in milliseconds: a worker that ends meanwhile doesn't say so. */
const handMs = 1000
/** Connections that wait until a worker serves again; the kernel's own queue has those after them. */
const waitingMax = 1024

/** Which listener a connection came by. */
export type ListenerName = 'public' | 'debug'

export interface WorkersParts {
  /** How many */
  count: number
  /** The worker's program, and what Node.js needs to run it */
  program: { file: string; execArgv: string[] }
  feed: Feed
  /** Called for each start */
  settings: () => WorkerSettings
  /** Is told what each takes, by its place among them */
  measures: { workerLoad(index: number, load: WorkerLoad): void; workerEnded(index: number): void }
  log: Log
  /** Takes a line that a worker logged, without its newline. */
  logLine: (line: string) => void
}

export interface Workers {
  /** Resolves once all of them serve. Errors: the first one that can't be started. */
  start(): Promise<void>
  /** Takes over a connection that nobody has read from. */
  take(connection: Socket, listener: ListenerName): void
  /** Resolves when what had arrived by now at connections that were taken over is passed on. Never rejects. */
  caughtUp(): Promise<void>
  /** Ends all of them, with their connections. */
  stop(): Promise<void>
}

interface Serving {
  child: ChildProcess
  attached: Attached
}

export function createWorkers({
  count,
  program,
  feed,
  settings,
  measures,
  log,
  logLine,
}: WorkersParts): Workers {
  const serving: Serving[] = []
  const children = new Set<ChildProcess>()
  const waiting: { connection: Socket; listener: ListenerName }[] = []
  const stopping = new AbortController()
  let turn = 0

  /** The next one that answers of late; where none does, any: it may only be busy. */
  const next = (): Serving | undefined => {
    for (let tried = 0; tried < serving.length; tried++) {
      const candidate = serving[turn++ % serving.length]
      if (candidate?.attached.isResponsive()) return candidate
    }
    return serving[turn++ % serving.length]
  }

  /** Connections on their way */
  const handing = new Set<Promise<void>>()

  const hand = ({ child }: Serving, connection: Socket, listener: ListenerName) => {
    const handed = new Promise<void>((resolve) => {
      child.send({ listener }, connection, (error) => {
        if (error !== null) connection.destroy()
        handing.delete(handed)
        resolve()
      })
    })
    handing.add(handed)
  }

  const take = (connection: Socket, listener: ListenerName) => {
    const to = next()
    if (to !== undefined) return hand(to, connection, listener)
    if (waiting.length < waitingMax && !stopping.signal.aborted) waiting.push({ connection, listener })
    else connection.destroy()
  }

  /** Runs one, in its place, until it ends; `onReady` when it serves. Never rejects. */
  const runOnce = async (index: number, onReady: () => void): Promise<Error | undefined> => {
    const child = fork(program.file, [], {
      execArgv: program.execArgv,
      // Its fourth stream is the data plane's.
      stdio: ['ignore', 'pipe', 'inherit', 'ipc', 'pipe'],
      serialization: 'json',
    })
    createInterface({ input: child.stdout! }).on('line', logLine)
    children.add(child)
    let fault: Error | undefined
    const slow = setTimeout(() => {
      fault = new Error('it did not start in time')
      child.kill('SIGKILL')
    }, startTimeoutMs)
    let mine: Serving | undefined
    const retire = () => {
      const at = mine === undefined ? -1 : serving.indexOf(mine)
      if (at !== -1) serving.splice(at, 1)
    }
    child.on('error', (error) => (fault ??= error))
    const attached = feed.attach(child.stdio[4] as Duplex, settings(), {
      onReady() {
        clearTimeout(slow)
        mine = { child, attached }
        serving.push(mine)
        for (const { connection, listener } of waiting.splice(0)) take(connection, listener)
        onReady()
      },
      onLoad: (load) => measures.workerLoad(index, load),
      onEnd(error) {
        fault ??= error
        retire()
        // Without its owner it is of no use.
        child.kill('SIGKILL')
      },
    })
    const [code, signal] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
    clearTimeout(slow)
    children.delete(child)
    retire()
    attached.close()
    return fault ?? new Error(`it ended by ${signal ?? `exit status ${code}`}`)
  }

  /** Keeps one running until all are stopped. */
  const keep = async (index: number, onReady: () => void): Promise<void> => {
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      const startedAt = performance.now()
      const reason = await runOnce(index, onReady)
      if (stopping.signal.aborted) return
      measures.workerEnded(index)
      log.error({ reason: reason?.message }, 'a data worker ended, and another is started')
      if (performance.now() - startedAt > steadyMs) attempt = 0
      const pauseMs = restartPausesMs[Math.min(attempt, restartPausesMs.length - 1)] ?? 0
      await sleep(pauseMs, stopping.signal).catch(() => {})
    }
  }

  return {
    async start() {
      await Promise.all(
        Array.from(
          { length: count },
          (_, index) =>
            new Promise<void>((resolve, reject) => {
              setTimeout(
                () => reject(new Error('The data workers did not start in time.')),
                startTimeoutMs,
              ).unref()
              void keep(index, resolve)
            }),
        ),
      )
    },
    take,
    async caughtUp() {
      await Promise.race([Promise.all(handing), sleep(handMs, stopping.signal).catch(() => {})])
      await feed.caughtUp()
    },
    async stop() {
      stopping.abort()
      for (const { connection } of waiting.splice(0)) connection.destroy()
      const ended = [...children].map((child) => (child.exitCode === null ? once(child, 'exit') : undefined))
      for (const child of children) child.send({ stop: true }, () => {})
      const late = setTimeout(() => {
        for (const child of children) child.kill('SIGKILL')
      }, endTimeoutMs)
      await Promise.all(ended)
      clearTimeout(late)
    },
  }
}
