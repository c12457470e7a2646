/**
 * One worker as the owner speaks with it. Time is counted in turns of a clock of this process, so that a standstill of
 * its own is never taken for the worker's silence.
 */
import type { Duplex } from 'node:stream'
import type { Log } from '../lib/log.ts'
import { createChannel } from './channel.ts'
import {
  type FromWorker,
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

export interface LinkEvents {
  log: Log
  onReady(): void
  onMessage(message: FromWorker): void
  onEnd(error?: Error): void
}

export interface Link {
  send(message: ToWorker): void
  greet(settings: WorkerSettings): void
  /** Resolves when the worker has said that the sandbox's traffic is over, when it has gone, or after so many turns. */
  withdraw(id: string, turnsMax: number): Promise<void>
  isResponsive(): boolean
  close(): void
}

export function createLink(stream: Duplex, { log, onReady, onMessage, onEnd }: LinkEvents): Link {
  let silentTurns = 0
  let isReady = false
  let lastRef = 0
  const withdrawals = new Map<number, { id: string; turnsLeft: number; settle(): void }>()

  const channel = createChannel(stream, {
    onMessage(value) {
      const message = readFromWorker(value)
      silentTurns = 0
      if (message.type === 'withdrawn') settle(message.ref)
      if (message.type === 'ready') {
        if (message.version !== protocolVersion) throw new Error('a worker of another release')
        isReady = true
        onReady()
      }
      onMessage(message)
    },
    onEnd(error) {
      clearInterval(clock)
      for (const ref of [...withdrawals.keys()]) settle(ref)
      onEnd(error)
    },
  })

  const settle = (ref: number) => {
    withdrawals.get(ref)?.settle()
    withdrawals.delete(ref)
  }

  const clock = setInterval(() => {
    silentTurns++
    for (const [ref, waiting] of withdrawals) {
      if (--waiting.turnsLeft > 0) continue
      log.warn({ sandboxId: waiting.id }, 'a data worker did not say that the traffic of a sandbox is over')
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
    withdraw(id, turnsMax) {
      return new Promise((resolve) => {
        const ref = ++lastRef
        withdrawals.set(ref, { id, turnsLeft: turnsMax, settle: resolve })
        if (!channel.send({ type: 'withdraw', ref, id })) settle(ref)
      })
    },
    isResponsive: () => isReady && silentTurns < responsiveTurns,
    close: () => channel.close(),
  }
}
