/**
 * A data worker's side of the data plane: keeps its directory as the owner tells it, asks the owner about sandboxes that
 * aren't in there, and passes on what processes say.
 */
import type { Duplex } from 'node:stream'
import type { DirectoryEntry } from '../domain/data-plane.ts'
import { ServerError } from '../domain/error.ts'
import type { WakeRequest } from '../domain/live-sandbox.ts'
import type { SandboxLogEntry } from '../domain/sandbox-log.ts'
import type { WorkerLoad } from '../domain/telemetry.ts'
import { type Channel, createChannel } from '../lib/channel.ts'
import { loopTurns } from '../lib/loop-turns.ts'
import {
  codeOf,
  type FromWorker,
  type LogLine,
  logLinesMax,
  messageMaxBytes,
  type Outcome,
  protocolVersion,
  type ToWorker,
  type WorkerSettings,
} from './messages.ts'

/** Time between two messages with log lines, in milliseconds. */
const logMs = 100
/** Time between two signs of life, in milliseconds. */
const aliveMs = 1000
/** What of the log may wait for the owner to read; what comes then is dropped, and its number told. */
const waitingMaxBytes = 8 * 2 ** 20
/** Turns of the loop in which a connection that has come is taken in, read, and its request passed on. */
const turnsToPassOn = 16
/** Lines that wait for the next message: what the owner reads of all workers it takes from its other work. */
const linesMax = 4_000
/** Lines of output of one sandbox in a second: as many as the owner keeps (`control/log-writer.ts`). */
const outputLinesMax = 2_000
const secondMs = 1000

/** What the owner has to say, called in its order; and what it is told. */
export interface WorkerEvents {
  /** What this process takes, asked for with each sign of life. */
  load(): WorkerLoad
  onSettings(settings: WorkerSettings): void
  onAdmit(entry: DirectoryEntry, fresh: boolean): void
  /** Resolves when the sandbox's traffic is over. */
  onWithdraw(id: string): Promise<void>
  /** The directory is whole: traffic may come. */
  onSynced(): void
  onRecord(id: string, pids: number[]): void
  onCredentials(credentials: { cert: string; key: string }): void
  /** The owner has gone. */
  onEnd(error?: Error): void
}

export interface WorkerClient {
  /** Traffic is taken from now on. */
  ready(): void
  /** Whether the sandbox takes traffic now, after it was woken if need be. Errors: those of `WakeSandbox`. */
  wake(id: string, request: WakeRequest, signal: AbortSignal): Promise<boolean>
  /** Makes sure that the debug sandbox runs. Errors: those of creating one. */
  ensureDebug(signal: AbortSignal): Promise<void>
  /** Takes a line in at once and never fails. */
  writeLog(sandboxId: string, entry: SandboxLogEntry): void
  /** Sends what there is, and then the end. */
  finish(): void
}

/** Takes over the stream. */
export function createWorkerClient(stream: Duplex, events: WorkerEvents): WorkerClient {
  const questions = new Map<number, (outcome: Outcome) => void>()
  let lastRef = 0
  const channel = createChannel(stream, messageMaxBytes, {
    // The owner is of the same release, and decides.
    onMessage: (message) => take(message as ToWorker),
    onEnd(error) {
      for (const timer of timers) clearInterval(timer)
      for (const settle of questions.values()) settle({ code: 'unavailable', message: ownerGone })
      events.onEnd(error)
    },
  })
  const send = (message: FromWorker) => channel.send(message)
  const log = createLogQueue(channel)
  const timers = [
    setInterval(() => send({ type: 'alive', load: events.load() }), aliveMs),
    setInterval(log.flush, logMs),
  ]

  function take(message: ToWorker): void {
    switch (message.type) {
      case 'hello':
        if (message.version !== protocolVersion) throw new Error('the owner is of another release')
        events.onSettings(message.settings)
        break
      case 'admit':
        events.onAdmit(message.entry, message.fresh)
        break
      case 'withdraw':
        void events.onWithdraw(message.id).then(() => send({ type: 'done', ref: message.ref }))
        break
      case 'catch-up':
        void loopTurns(turnsToPassOn).then(() => send({ type: 'done', ref: message.ref }))
        break
      case 'synced':
        events.onSynced()
        break
      case 'answer':
        questions.get(message.ref)?.(message.outcome)
        break
      case 'record':
        events.onRecord(message.id, message.pids)
        break
      case 'credentials':
        events.onCredentials(message)
        break
    }
  }

  async function ask(
    question: { type: 'wake'; id: string; request: WakeRequest } | { type: 'debug' },
    signal: AbortSignal,
  ): Promise<boolean> {
    signal.throwIfAborted()
    const ref = ++lastRef
    const onAbort = () => {
      send({ type: 'cancel', ref })
      questions.get(ref)?.({ code: 'canceled', message: 'Nobody waits for it any more.' })
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const outcome = await new Promise<Outcome>((resolve) => {
        questions.set(ref, resolve)
        if (!send({ ...question, ref })) resolve({ code: 'unavailable', message: ownerGone })
      })
      signal.throwIfAborted()
      if ('live' in outcome) return outcome.live
      const { retryAfterS } = outcome
      throw new ServerError(codeOf(outcome), outcome.message, {
        ...(retryAfterS !== undefined && { retryAfterS }),
      })
    } finally {
      questions.delete(ref)
      signal.removeEventListener('abort', onAbort)
    }
  }

  return {
    ready: () => void send({ type: 'ready', version: protocolVersion }),
    wake: (id, request, signal) => ask({ type: 'wake', id, request }, signal),
    async ensureDebug(signal) {
      if (await ask({ type: 'debug' }, signal)) return
      throw new ServerError('unavailable', 'There is no debug sandbox: debug mode is off.')
    },
    writeLog: log.write,
    finish() {
      log.flush()
      channel.finish()
    },
  }
}

const ownerGone = 'The server is starting again. Try again in a moment.'

function createLogQueue(channel: Channel) {
  let lines: LogLine[] = []
  /** Of each sandbox, those that found no room */
  const dropped = new Map<string, number>()
  /** Of each sandbox, lines of output in the present second */
  const output = new Map<string, number>()
  let second = 0

  const isTooMuch = (id: string, { fields }: SandboxLogEntry) => {
    if (lines.length >= linesMax) return true
    if (fields.stream === undefined) return false
    const now = Math.floor(performance.now() / secondMs)
    if (now !== second) output.clear()
    second = now
    const count = (output.get(id) ?? 0) + 1
    output.set(id, count)
    return count > outputLinesMax
  }

  const flush = () => {
    if (channel.waitingBytes > waitingMaxBytes) return
    for (const [id, count] of dropped) {
      const message = `${count} entries came too fast and were dropped`
      lines.push({ id, entry: { at: Date.now(), level: 'warn', message, fields: { logger: 'log' } } })
    }
    dropped.clear()
    const all = lines
    lines = []
    for (let at = 0; at < all.length; at += logLinesMax) {
      channel.send({ type: 'log', lines: all.slice(at, at + logLinesMax) })
    }
  }

  return {
    flush,
    write(id: string, entry: SandboxLogEntry) {
      if (isTooMuch(id, entry)) dropped.set(id, (dropped.get(id) ?? 0) + 1)
      else lines.push({ id, entry })
    },
  }
}
