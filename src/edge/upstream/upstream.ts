/**
 * One connection into a sandbox that speaks HTTP/1.1, one exchange after the other. Small on purpose: requests are
 * written as text and answers read by `answer-parser.ts`, which takes a third of the time of Node's own client.
 */
import type { Duplex } from 'node:stream'
import { type AnswerEvents, AnswerParser } from './answer-parser.ts'

export interface ExchangeEvents extends AnswerEvents {
  /** All of a piece that came at once has been told. Not called when the answer ended with it. */
  onPause(): void
  /** There is no whole answer, and the connection is gone. Called once, and nothing after it. */
  onFailure(error: Error): void
}

export interface Upstream {
  /** For the request: writing, and slowing the answer. Its reading belongs to this. */
  readonly stream: Duplex
  /** Whether there was an exchange before the current one. */
  readonly isUsed: boolean
  /** Begins an exchange: the caller writes the request to `stream`. There must be none under way. */
  begin(method: string | undefined, events: ExchangeEvents): void
  /** Calls `listener` when the connection is lost while it is idle; one at a time. */
  onIdleLoss(listener: () => void): void
  /** The stream for what comes after an upgrade, paused and with no one listening. To be called in `onUpgrade`. */
  detach(): Duplex
  /** Closes the connection; an exchange under way is told nothing more. */
  destroy(): void
}

/** Takes over a stream that has just been dialed. */
export function createUpstream(stream: Duplex): Upstream {
  const parser = new AnswerParser()
  let events: ExchangeEvents | undefined
  let onIdleLoss = () => {}
  let exchanges = 0

  const fail = (thrown: unknown) => {
    const told = parser.isBusy ? events : undefined
    events = undefined
    parser.abandon()
    stream.destroy()
    if (told === undefined) onIdleLoss()
    else
      told.onFailure(thrown instanceof Error ? thrown : new Error('The exchange failed.', { cause: thrown }))
  }

  const onData = (bytes: Buffer) => {
    try {
      parser.feed(bytes)
      if (parser.isBusy) events?.onPause()
    } catch (thrown) {
      fail(thrown)
    }
  }
  const onEnd = () => {
    try {
      parser.finish()
      // Not kept half open: a server that has ended its side takes no more requests.
      fail(new Error('The connection ended.'))
    } catch (thrown) {
      fail(thrown)
    }
  }
  const onClose = () => fail(new Error('The connection closed before the answer was whole.'))

  stream.on('data', onData)
  stream.on('end', onEnd)
  stream.on('error', fail)
  stream.on('close', onClose)

  return {
    stream,
    get isUsed() {
      return exchanges > 1
    },
    begin(method, listener) {
      exchanges++
      events = listener
      parser.expect(method, listener)
    },
    onIdleLoss(listener) {
      onIdleLoss = listener
    },
    detach() {
      stream.pause()
      stream.off('data', onData)
      stream.off('end', onEnd)
      stream.off('error', fail)
      stream.off('close', onClose)
      return stream
    },
    destroy() {
      events = undefined
      parser.abandon()
      stream.destroy()
    },
  }
}
