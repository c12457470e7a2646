/**
 * The owner's side of the data plane: tells every data worker which sandboxes take traffic, answers what they ask, and
 * takes in what they saw. It decides alone; a worker that has gone costs nothing but its own connections.
 */
import type { Duplex } from 'node:stream'
import type { DirectoryEntry, TrafficCarrier } from '../domain/data-plane.ts'
import { toError } from '../domain/error.ts'
import type { WakeRequest } from '../domain/live-sandbox.ts'
import type { SandboxLogSink } from '../domain/sandbox-log.ts'
import type { WorkerLoad } from '../domain/telemetry.ts'
import type { Log } from '../lib/log.ts'
import { type Asked, createLink, type Link } from './link.ts'
import type { FromWorker, Outcome, WorkerSettings } from './messages.ts'
import { outcomeOf } from './messages.ts'
import { createRunningProcesses } from './running-processes.ts'

/** How long a worker may take to do what it is asked for, in turns of its link's clock. */
const askedTurnsMax = 4
/** Questions of one worker at once; what asks is bounded there too. */
const questionsMax = 4096

export interface FeedParts {
  /** Wakes a sandbox by traffic; whether it takes traffic then */
  wake: (id: string, request: WakeRequest, signal: AbortSignal) => Promise<boolean>
  /** Makes sure that the debug sandbox runs; absent: there is none */
  ensureDebug?: ((signal: AbortSignal) => Promise<void>) | undefined
  logs: SandboxLogSink
  log: Log
}

export interface Feed extends TrafficCarrier {
  /** Whether a sandbox takes traffic. */
  takesTraffic(id: string): boolean
  /** Ids of all that do. */
  ids(): string[]
  /**
   * Speaks with a new worker over a stream of its own until that ends. `onReady`: it takes traffic; `onEnd`: it is over,
   * and why where that is a fault.
   */
  attach(stream: Duplex, settings: WorkerSettings, events: AttachEvents): Attached
  /** Resolves when the workers have passed on the requests that had arrived at them by now. Never rejects. */
  caughtUp(): Promise<void>
  /** All workers speak TLS with this from now on. */
  setCredentials(credentials: { cert: string; key: string }): void
}

export interface AttachEvents {
  onReady(): void
  /** What it takes, once a second. */
  onLoad(load: WorkerLoad): void
  onEnd(error?: Error): void
}

export interface Attached {
  /** Whether it has said something of late. */
  isResponsive(): boolean
  close(): void
}

interface Admitted {
  entry: DirectoryEntry
  teamId: string
}

export function createFeed({ wake, ensureDebug, logs, log }: FeedParts): Feed {
  const admitted = new Map<string, Admitted>()
  const links = new Map<Link, ReturnType<typeof createRunningProcesses>>()
  let turn = 0

  /** One of the workers, each in its turn. */
  const anyLink = (): Link | undefined => {
    const all = [...links.keys()]
    return all[turn++ % all.length]
  }

  const ask = async (asked: Extract<FromWorker, { type: 'wake' | 'debug' }>, signal: AbortSignal) => {
    try {
      if (asked.type === 'wake') return { live: await wake(asked.id, asked.request, signal) }
      if (ensureDebug === undefined) return { live: false }
      await ensureDebug(signal)
      return { live: true }
    } catch (thrown) {
      return outcomeOf(toError(thrown))
    }
  }

  const serve = (link: Link) => {
    const questions = new Map<number, AbortController>()
    const running = createRunningProcesses()
    links.set(link, running)
    const answer = async (asked: Extract<FromWorker, { type: 'wake' | 'debug' }>) => {
      if (questions.size >= questionsMax) throw new Error('too many questions at once')
      const controller = new AbortController()
      questions.set(asked.ref, controller)
      const outcome: Outcome = await ask(asked, controller.signal)
      if (questions.delete(asked.ref)) link.send({ type: 'answer', ref: asked.ref, outcome })
    }
    return {
      onMessage(message: FromWorker) {
        if (message.type === 'wake' || message.type === 'debug') void answer(message)
        if (message.type === 'cancel') {
          questions.get(message.ref)?.abort(new DOMException('Nobody waits for it any more.', 'AbortError'))
          questions.delete(message.ref)
        }
        if (message.type !== 'log') return
        for (const { id, entry } of message.lines) {
          const known = admitted.get(id)
          if (known === undefined) continue
          running.note(id, entry)
          logs.write({ ...entry, sandboxId: id, teamId: known.teamId })
        }
      },
      onEnd() {
        links.delete(link)
        for (const controller of questions.values()) controller.abort()
        questions.clear()
        for (const [id, pids] of running.all()) anyLink()?.send({ type: 'record', id, pids })
      },
    }
  }

  const askAll = async (what: Asked) => {
    await Promise.all([...links.keys()].map((link) => link.ask(what, askedTurnsMax)))
  }

  return {
    takesTraffic: (id) => admitted.has(id),
    ids: () => [...admitted.keys()],

    admit(entry, { teamId, fresh }) {
      if (admitted.has(entry.id)) return
      admitted.set(entry.id, { entry, teamId })
      // What runs already is recorded by one of them.
      const recorder = fresh ? undefined : anyLink()
      for (const link of links.keys()) link.send({ type: 'admit', entry, fresh: link !== recorder })
    },

    async withdraw(id) {
      if (!admitted.delete(id)) return
      for (const running of links.values()) running.forget(id)
      await askAll({ type: 'withdraw', id })
    },

    caughtUp: () => askAll({ type: 'catch-up' }),

    attach(stream, settings, { onReady, onLoad, onEnd }) {
      let served: ReturnType<typeof serve> | undefined
      const link = createLink(stream, {
        log,
        onReady,
        onMessage(message) {
          if (message.type === 'alive') onLoad(message.load)
          else served?.onMessage(message)
        },
        onEnd(error) {
          served?.onEnd()
          onEnd(error)
        },
      })
      served = serve(link)
      const isFirst = links.size === 1
      link.greet(settings)
      for (const { entry } of admitted.values()) link.send({ type: 'admit', entry, fresh: !isFirst })
      link.send({ type: 'synced' })
      return { isResponsive: () => link.isResponsive(), close: () => link.close() }
    },

    setCredentials(credentials) {
      for (const link of links.keys()) link.send({ type: 'credentials', ...credentials })
    },
  }
}
