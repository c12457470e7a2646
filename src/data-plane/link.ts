/**
 * One worker as the owner speaks with it. Time is counted in turns of a clock of this process, so that a standstill of
 * its own is never taken for the worker's silence.
 */
import type { Duplex } from 'node:stream'
import { createChannel } from '../lib/channel.ts'
import type { Log } from '../lib/log.ts'
import {
  type FromWorker,
  messageMaxBytes,
  protocolVersion,
  readFromWorker,
  type ToWorker,
  type WorkerSettings,
} from './messages.ts'

/** Length of a turn, in milliseconds. A worker says that it is alive once in two of them. */
const turnMs = 500
/** Turns of silence after which a worker is given no new connections. */
const responsiveTurns = 4
/** Turns of silence after which it is taken for stuck, and ended: half a minute. */
const stuckTurns = 60

/** What a worker is asked to do, and says when it is done. */
export type Asked = { type: 'withdraw'; id: string } | { type: 'catch-up' }

export interface LinkEvents {
  log: Log
  onReady(): void
  onMessage(message: FromWorker): void
  onEnd(error?: Error): void
}

export interface Link {
  send(message: ToWorker): void
  greet(settings: WorkerSettings): void
  /** Resolves when the worker has said that it has done so, when it has gone, or after so many turns. */
  ask(what: Asked, turnsMax: number): Promise<void>
  isResponsive(): boolean
  close(): void
}

export function createLink(stream: Duplex, { log, onReady, onMessage, onEnd }: LinkEvents): Link {
  let silentTurns = 0
  let isReady = false
  let lastRef = 0
  const unanswered = new Map<number, { what: Asked; turnsLeft: number; settle(): void }>()

  const channel = createChannel(stream, messageMaxBytes, {
    onMessage(value) {
      const message = readFromWorker(value)
      silentTurns = 0
      if (message.type === 'done') settle(message.ref)
      if (message.type === 'ready') {
        if (message.version !== protocolVersion) throw new Error('a worker of another release')
        isReady = true
        onReady()
      }
      onMessage(message)
    },
    onEnd(error) {
      clearInterval(clock)
      for (const ref of [...unanswered.keys()]) settle(ref)
      onEnd(error)
    },
  })

  const settle = (ref: number) => {
    unanswered.get(ref)?.settle()
    unanswered.delete(ref)
  }

  const clock = setInterval(() => {
    silentTurns++
    for (const [ref, waiting] of unanswered) {
      if (--waiting.turnsLeft > 0) continue
      log.warn(waiting.what, 'a data worker did not do in time what it was asked for')
      settle(ref)
    }
    if (silentTurns >= stuckTurns) {
      log.error({ silentMs: silentTurns * turnMs }, 'a data worker is stuck and is ended')
      channel.close()
    }
  }, turnMs)

  return {
    send: (message) => void channel.send(message),
    greet: (settings) => void channel.send({ type: 'hello', version: protocolVersion, settings }),
    ask(what, turnsMax) {
      return new Promise((resolve) => {
        const ref = ++lastRef
        unanswered.set(ref, { what, turnsLeft: turnsMax, settle: resolve })
        if (!channel.send({ ...what, ref })) settle(ref)
      })
    },
    isResponsive: () => isReady && silentTurns < responsiveTurns,
    close: () => channel.close(),
  }
}
