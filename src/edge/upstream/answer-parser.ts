/**
 * Reads HTTP/1.x answers off a connection into a sandbox. What is inside is hostile: every length is bounded, and
 * whatever could be read in two ways is refused rather than guessed (RFC 9112 6.3).
 *
 *   idle ─▶ head ─▶ length | chunks | until-close ─▶ idle
 *            ▲ │
 *            └─┘ informational answers
 */
import { type AnswerHead, createHeadCollector, framingOf, parseHead, slice } from './answer-head.ts'
import { createChunkDecoder } from './chunk-decoder.ts'

/** What is told of an answer, in this order, while its bytes are fed. */
export interface AnswerEvents {
  /** An answer of 1xx: the real one follows */
  onInformation(head: AnswerHead): void
  /** The server has switched protocols: the connection is no longer HTTP's. Without this an upgrade is an error. */
  onUpgrade?(head: AnswerHead, firstBytes: Buffer): void
  onHead(head: AnswerHead): void
  onBody(bytes: Buffer): void
  /** `isReusable`: the connection can take another request */
  onEnd(isReusable: boolean): void
}

/** Informational answers before the real one. */
const informationalMax = 100

type State = 'idle' | 'head' | 'length' | 'chunks' | 'until-close'

/** A parser for one connection, which carries one answer after the other. A class, as it is nothing but its state. */
export class AnswerParser {
  readonly #heads = createHeadCollector()
  readonly #chunks = createChunkDecoder()
  #state: State = 'idle'
  #events: AnswerEvents | undefined
  #method: string | undefined
  #informational = 0
  /** Bytes of a body of known length that are still to come */
  #left = 0
  #mayReuse = false

  /** Whether an answer is awaited or under way. */
  get isBusy(): boolean {
    return this.#state !== 'idle'
  }

  /** Awaits the answer to a request. */
  expect(method: string | undefined, events: AnswerEvents): void {
    this.#state = 'head'
    this.#events = events
    this.#method = method
    this.#informational = 0
  }

  /** Takes what the connection has brought. Errors: an `Error` for what isn't a valid answer; it is to be abandoned. */
  feed(bytes: Buffer): void {
    if (!this.isBusy) throw new Error('There are bytes that belong to no answer.')
    let at = 0
    // Whoever listens may abandon the answer at any event; an answer may be whole without another byte.
    while (this.isBusy && at < bytes.length) {
      at = this.#step(bytes, at)
      if (this.#isWhole()) this.#end(at === bytes.length)
    }
  }

  /** The connection has ended. Errors: an `Error` when the answer isn't whole. */
  finish(): void {
    if (this.#state === 'until-close') this.#end(false)
    else if (this.isBusy) throw new Error('The connection ended before the answer did.')
  }

  /** Tells nothing any more; the result is whom it would have told. */
  abandon(): AnswerEvents | undefined {
    const told = this.#events
    this.#state = 'idle'
    this.#events = undefined
    return told
  }

  #isWhole(): boolean {
    return (this.#state === 'length' && this.#left === 0) || (this.#state === 'chunks' && this.#chunks.isDone)
  }

  /** `isClean`: nothing follows that nobody asked for. */
  #end(isClean: boolean): void {
    this.abandon()?.onEnd(this.#mayReuse && isClean)
  }

  /** Takes one step and returns where the next begins. */
  #step(bytes: Buffer, from: number): number {
    switch (this.#state) {
      case 'head':
        return this.#takeHead(bytes, from)
      case 'length': {
        const until = Math.min(bytes.length, from + this.#left)
        this.#left -= until - from
        this.#events?.onBody(slice(bytes, from, until))
        return until
      }
      case 'chunks':
        return this.#chunks.decode(bytes, from, (piece) => this.#events?.onBody(piece))
      default:
        this.#events?.onBody(slice(bytes, from, bytes.length))
        return bytes.length
    }
  }

  #takeHead(bytes: Buffer, from: number): number {
    const at = this.#heads.collect(bytes, from)
    const text = this.#heads.take()
    if (text === undefined) return at
    const head = parseHead(text)
    if (head.statusCode === 101) {
      this.#upgrade(head, bytes.subarray(at))
      return bytes.length
    }
    if (head.statusCode < 200) this.#inform(head)
    else this.#begin(head)
    return at
  }

  #upgrade(head: AnswerHead, firstBytes: Buffer): void {
    if (this.#events?.onUpgrade === undefined) {
      throw new Error('The answer is an upgrade that was not asked for.')
    }
    this.abandon()?.onUpgrade?.(head, firstBytes)
  }

  #inform(head: AnswerHead): void {
    this.#informational++
    if (this.#informational > informationalMax) throw new Error('There are too many informational answers.')
    this.#events?.onInformation(head)
  }

  #begin(head: AnswerHead): void {
    const { statusCode, isHttp11, connection } = head
    const framing = framingOf(head)
    const hasNoBody = this.#method === 'HEAD' || statusCode === 204 || statusCode === 304
    this.#left = hasNoBody || typeof framing !== 'number' ? 0 : framing
    if (hasNoBody || typeof framing === 'number') this.#state = 'length'
    else this.#state = framing === 'chunked' ? 'chunks' : 'until-close'
    this.#mayReuse = isHttp11 && this.#state !== 'until-close' && !connection.includes('close')
    this.#chunks.start()
    this.#events?.onHead(head)
  }
}
