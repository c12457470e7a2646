/**
 * One connection to the helper (`spec/host.md`): requests, their answers in whatever order they come, and events. Who gives a
 * request up has the helper undo it, and waits a while for that.
 */
import type { Duplex } from 'node:stream'
import { isErrorCode, ServerError } from '../../domain/error.ts'
import { createChannel } from '../../lib/channel.ts'
import { startPatience } from '../../lib/patience.ts'
import { createSemaphore } from '../../lib/semaphore.ts'
import { type Answer, isAnswer } from './answers.ts'

/** The longest message, in bytes */
export const messageMaxBytes = 2 ** 20
/** Requests that wait for their answer: the helper takes 1,024, some of which are to end others */
const waitingMax = 900
/** How long one that is given up waits to be told that it is undone, in milliseconds */
const undoWaitMs = 5_000

export interface HostConnection {
  /**
   * What the helper answers to a request. When the signal aborts the request is taken back, and this settles as the helper says,
   * also with an answer that came first; with the signal's reason once it is undone, or takes too long. Errors: the helper's own,
   * and `unavailable` when the connection ends.
   */
  call(op: string, fields: Answer, signal: AbortSignal): Promise<Answer>
  /** Ends it; what waits fails. Idempotent. */
  close(): void
}

export interface HostConnectionEvents {
  /** A guest ended that wasn't asked to. */
  onGone(sandboxId: string): void
  /** Called once, however it ends. */
  onEnd(): void
}

interface Waiting {
  settle(outcome: Answer | Error): void
}

/** Takes over the stream. */
export function createHostConnection(
  stream: Duplex,
  { onGone, onEnd }: HostConnectionEvents,
): HostConnection {
  const waiting = new Map<number, Waiting>()
  const room = createSemaphore(waitingMax)
  let lastId = 0
  let over: ServerError | undefined

  const channel = createChannel(stream, messageMaxBytes, {
    onMessage(message) {
      if (!isAnswer(message)) throw new Error('the helper sent no object')
      if (message.event === 'gone' && typeof message.sandbox === 'string') return onGone(message.sandbox)
      waiting.get(Number(message.id))?.settle(outcomeOf(message))
    },
    onEnd(cause) {
      over = unavailable(cause)
      for (const { settle } of [...waiting.values()]) settle(over)
      onEnd()
    },
  })

  const ask = (op: string, fields: Answer, signal: AbortSignal) =>
    new Promise<Answer>((resolve, reject) => {
      const id = ++lastId
      let patience: { stop(): void } | undefined
      const settle = (outcome: Answer | Error) => {
        waiting.delete(id)
        patience?.stop()
        signal.removeEventListener('abort', giveUp)
        if (!(outcome instanceof Error)) resolve(outcome)
        else reject(signal.aborted && isCanceled(outcome) ? signal.reason : outcome)
      }
      const giveUp = () => {
        channel.send({ id: ++lastId, op: 'cancel', of: id })
        patience = startPatience(undoWaitMs, () => settle(signal.reason), { ref: false })
      }
      waiting.set(id, { settle })
      signal.addEventListener('abort', giveUp, { once: true })
      try {
        if (!channel.send({ ...fields, id, op })) settle(over ?? unavailable())
      } catch (cause) {
        settle(new ServerError('invalid_argument', 'The request is too large.', { cause }))
      }
    })

  return {
    async call(op, fields, signal) {
      const release = await room.acquire(signal)
      try {
        signal.throwIfAborted()
        if (over !== undefined) throw over
        return await ask(op, fields, signal)
      } finally {
        release()
      }
    },
    close: () => channel.close(),
  }
}

/** What a reply says. Whatever isn't one is a fault of the helper's. */
function outcomeOf(message: Answer): Answer | Error {
  if (isAnswer(message.ok)) return message.ok
  const { code, message: text } = isAnswer(message.error) ? message.error : {}
  const reason = typeof text === 'string' ? text : 'no reason'
  if (isErrorCode(code) && code !== 'internal') return new ServerError(code, reason)
  const cause = new Error(`the helper failed: ${reason}`)
  return new ServerError('internal', 'Internal error. The server log has the cause.', { cause })
}

function isCanceled(error: Error): boolean {
  return error instanceof ServerError && (error.code === 'canceled' || error.code === 'deadline_exceeded')
}

/** What a call fails with while there is no helper. */
export function unavailable(cause?: unknown): ServerError {
  return new ServerError('unavailable', 'The helper that makes sandboxes does not answer.', {
    retryAfterS: 1,
    cause,
  })
}
