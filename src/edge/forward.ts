/**
 * One request into a sandbox and its answer back, both streamed.
 *
 *   client ──req──▶ edge ──upstream──▶ server inside
 *          ◀──res──      ◀──answer───
 *
 * Until the answer begins a failure is an answer of the edge's own; after that it cuts the client's connection. Either
 * side leaving ends the other at once. There is no timeout here: an exchange is bounded by its client's patience and
 * by the sandbox's life, which has a deadline.
 */
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import type { Log } from '../lib/log.ts'
import { type Answer, send as sendAnswer } from './answer.ts'
import { connectionOf } from './connection-of.ts'
import { cut } from './cut.ts'
import type { Tie } from './exchanges.ts'
import { hasBody, isChunked, requestHeaders } from './forward-headers.ts'
import { createInformant } from './informant.ts'
import { Relay } from './relay.ts'
import type { Traffic } from './traffic.ts'
import type { AnswerHead } from './upstream/answer-head.ts'
import { requestHead } from './upstream/request-head.ts'
import { sendBody } from './upstream/send-body.ts'
import type { ExchangeEvents, Upstream } from './upstream/upstream.ts'

/** Where a request goes: what the edge holds for a sandbox, or the API. */
export interface ForwardTarget
  extends Pick<Traffic, 'exchanges' | 'maskedHost' | 'takeKept' | 'keep' | 'connect'> {
  /** Fields for the log that name it */
  readonly name: Record<string, string>
  /**
   * Whether it closes no idle connection as long as it lives, so that a kept one may also carry what can't be sent a
   * second time.
   */
  readonly keepsIdle: boolean
  /** What is answered where connecting or the exchange failed. */
  failure(port: number, thrown: unknown): Answer
}

export interface ForwardOptions {
  req: HttpRequest
  res: HttpResponse
  port: number
  traffic: ForwardTarget
  /** Whether the client waits for the server inside to say `100 Continue` before it sends the body */
  awaitsContinue: boolean
  log: Log
}

/** Methods that may be sent twice (RFC 9110 9.2.2). */
const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** Forwards one request. Never throws: whatever happens ends in an answer or a cut connection. */
export function forward(options: ForwardOptions): void {
  new Exchange(options).begin()
}

/** One request on its way. A class, as every request makes one, and closures in its place take a tenth of its time. */
class Exchange implements ExchangeEvents, Tie {
  readonly connection: Duplex
  readonly #options: ForwardOptions
  /** Whether it may be sent a second time */
  readonly #isReplayable: boolean
  /** Whether it may be sent on a connection that others have used, and leaves it to others */
  readonly #sharesConnection: boolean
  readonly #relay: Relay
  #informant: ((info: AnswerHead) => void) | undefined
  /** The first part of the request as it goes inside */
  #head = ''
  /** An answer has begun, or nobody is there to get one */
  #isSettled = false
  /** All of the request has been written */
  #isSent = false
  #upstream: Upstream | undefined
  #dialing: AbortController | undefined
  #stopSending: (() => void) | undefined
  /** Waits for the client to take more */
  #onDrain: (() => void) | undefined

  constructor(options: ForwardOptions) {
    const { req, res, traffic } = options
    this.connection = connectionOf(req)
    this.#options = options
    this.#isReplayable = idempotentMethods.has(req.method ?? '') && !hasBody(req)
    this.#sharesConnection = this.#isReplayable || traffic.keepsIdle
    this.#relay = new Relay(req, res)
  }

  begin(): void {
    const { req, res, port, traffic } = this.#options
    traffic.exchanges.begin(this)
    res.on('close', () => this.onClosed())
    try {
      const headers = requestHeaders(req, traffic.maskedHost(port))
      headers.push('Connection', this.#sharesConnection ? 'keep-alive' : 'close')
      this.#head = requestHead(req, headers)
    } catch (error) {
      this.#fail(error)
      return
    }
    const kept = this.#sharesConnection ? traffic.takeKept(port) : undefined
    if (kept === undefined) this.#dial()
    else this.#send(kept)
  }

  /** The client has left, or has its answer. */
  onClosed(): void {
    this.#options.traffic.exchanges.end(this)
    this.#isSettled = true
    this.#dialing?.abort()
    this.#stopSending?.()
    this.#upstream?.destroy()
  }

  /** The sandbox has gone. */
  refuse(answer: Answer): boolean {
    const { req, res } = this.#options
    if (this.#isSettled || res.headersSent || res.destroyed) return false
    this.#isSettled = true
    this.#dialing?.abort()
    this.#stopSending?.()
    this.#upstream?.destroy()
    this.#upstream = undefined
    sendAnswer(req, res, answer)
    drain(req)
    return true
  }

  onInformation(info: AnswerHead): void {
    const { req, res, awaitsContinue } = this.#options
    this.#informant ??= createInformant(req, res, awaitsContinue)
    this.#informant(info)
  }

  onHead(answer: AnswerHead): void {
    this.#relay.head(answer)
    this.#isSettled = true
  }

  onBody(bytes: Buffer): void {
    this.#relay.body(bytes)
  }

  onPause(): void {
    if (!this.#isSettled || this.#relay.flush()) return
    const stream = this.#upstream?.stream
    stream?.pause()
    this.#onDrain ??= () => stream?.resume()
    this.#options.res.once('drain', this.#onDrain)
  }

  onEnd(isReusable: boolean): void {
    const { req, res, port, traffic } = this.#options
    const target = this.#upstream
    this.#upstream = undefined
    if (this.#onDrain !== undefined) res.off('drain', this.#onDrain)
    this.#stopSending?.()
    // Behind a request that isn't whole the next one would be taken for the rest of it.
    const isKept = this.#sharesConnection && this.#isSent && isReusable
    if (isKept && target !== undefined) traffic.keep(port, target)
    else target?.destroy()
    this.#relay.end()
    if (!this.#isReplayable) drain(req)
  }

  onFailure(error: Error): void {
    const target = this.#upstream
    this.#upstream = undefined
    if (this.#isSettled) breakOff(this.#options.req)
    // A kept connection that was closed meanwhile says nothing about the request, unless that counts when sent twice.
    else if (this.#isReplayable && target?.isUsed) this.#dial()
    else this.#fail(error)
  }

  #dial(): void {
    const { req, port, traffic } = this.#options
    const dialing = new AbortController()
    this.#dialing = dialing
    traffic.connect(req.headers.host ?? '', port, dialing).then(
      (target) => {
        this.#dialing = undefined
        if (this.#isSettled) target.destroy()
        else this.#send(target)
      },
      (error) => this.#fail(error),
    )
  }

  #send(target: Upstream): void {
    const { req } = this.#options
    const { stream } = target
    this.#upstream = target
    target.begin(req.method, this)
    if (this.#isReplayable) {
      this.#isSent = true
      stream.write(this.#head, 'latin1')
      return
    }
    // The head goes out with the first bytes of the body if they are here already, and without them if not.
    stream.cork()
    stream.write(this.#head, 'latin1')
    setImmediate(() => stream.uncork())
    this.#isSent = !hasBody(req)
    if (this.#isSent) return
    this.#stopSending = sendBody(req, stream, {
      isChunked: isChunked(req),
      onSent: () => {
        this.#isSent = true
      },
    })
  }

  #fail(error: unknown): void {
    this.#stopSending?.()
    if (this.#isSettled) return
    this.#isSettled = true
    const { req, res, port, traffic, log } = this.#options
    log.debug({ ...traffic.name, port, err: error }, 'A request that was passed on got no answer.')
    sendAnswer(req, res, traffic.failure(port, error))
    drain(req)
  }
}

/**
 * Ends an answer in the middle. A length or chunks tell the client that something is missing; where the end of the
 * connection is the end of the body, and in HTTP/2, only a reset does.
 */
function breakOff(req: HttpRequest): void {
  if (req.httpVersion === '1.1') req.socket.destroy()
  else cut(connectionOf(req))
}

/** Reads what is left of a body that nobody wants, so that the next request on the connection can be read. */
function drain(req: HttpRequest): void {
  req.resume()
}
