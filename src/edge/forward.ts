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
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import type { Log } from '../lib/log.ts'
import { portFailure, send as sendAnswer } from './answer.ts'
import { connectionOf } from './connection-of.ts'
import { cut } from './cut.ts'
import { hasBody, isChunked, requestHeaders } from './forward-headers.ts'
import { createInformant } from './informant.ts'
import { createRelay } from './relay.ts'
import type { Traffic } from './traffic.ts'
import { requestHead } from './upstream/request-head.ts'
import { sendBody } from './upstream/send-body.ts'
import type { ExchangeEvents, Upstream } from './upstream/upstream.ts'

export interface ForwardOptions {
  req: HttpRequest
  res: HttpResponse
  port: number
  traffic: Traffic
  /** Whether the client waits for the server inside to say `100 Continue` before it sends the body */
  awaitsContinue: boolean
  log: Log
}

/** Methods that may be sent twice (RFC 9110 9.2.2). */
const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** One request on its way. */
interface Exchange extends ForwardOptions {
  /** Whether it may be sent a second time, and so on a connection that others have used */
  readonly isReplayable: boolean
  /** The first part of the request as it goes inside */
  head: string
  /** An answer has begun, or nobody is there to get one */
  isSettled: boolean
  upstream: Upstream | undefined
  dialing: AbortController | undefined
  stopSending: () => void
}

/** Forwards one request. Never throws: whatever happens ends in an answer or a cut connection. */
export function forward(options: ForwardOptions): void {
  const { req, res, port, traffic } = options
  const exchange: Exchange = {
    ...options,
    isReplayable: idempotentMethods.has(req.method ?? '') && !hasBody(req),
    head: '',
    isSettled: false,
    upstream: undefined,
    dialing: undefined,
    stopSending() {},
  }
  const end = traffic.exchanges.begin(connectionOf(req), () => leave(exchange))
  res.once('close', () => {
    end()
    leave(exchange)
  })
  try {
    const headers = requestHeaders(req, traffic.maskedHost(port))
    headers.push('Connection', exchange.isReplayable ? 'keep-alive' : 'close')
    exchange.head = requestHead(req, headers)
  } catch (error) {
    fail(exchange, error)
    return
  }
  const kept = exchange.isReplayable ? traffic.takeKept(port) : undefined
  if (kept === undefined) dial(exchange)
  else send(exchange, kept)
}

function dial(exchange: Exchange): void {
  const dialing = new AbortController()
  exchange.dialing = dialing
  exchange.traffic.connect(exchange.req.headers.host ?? '', exchange.port, dialing).then(
    (target) => {
      exchange.dialing = undefined
      if (exchange.isSettled) target.destroy()
      else send(exchange, target)
    },
    (error) => fail(exchange, error),
  )
}

function send(exchange: Exchange, target: Upstream): void {
  const { req, head, isReplayable } = exchange
  const { stream } = target
  exchange.upstream = target
  target.begin(req.method, answerEvents(exchange, target))
  if (isReplayable) {
    stream.write(head, 'latin1')
    return
  }
  // The head goes out with the first bytes of the body if they are here already, and without them if not.
  stream.cork()
  stream.write(head, 'latin1')
  setImmediate(() => stream.uncork())
  if (hasBody(req)) exchange.stopSending = sendBody(req, stream, isChunked(req))
}

function answerEvents(exchange: Exchange, target: Upstream): ExchangeEvents {
  const { req, res, port, traffic, awaitsContinue, isReplayable } = exchange
  const { stream } = target
  const relay = createRelay(req, res)
  const resume = () => stream.resume()
  return {
    onInformation: createInformant(req, res, awaitsContinue),
    onHead(answer) {
      relay.head(answer)
      exchange.isSettled = true
    },
    onBody: relay.body,
    onPause() {
      if (!exchange.isSettled || relay.flush()) return
      stream.pause()
      res.once('drain', resume)
    },
    onEnd(isReusable) {
      res.off('drain', resume)
      exchange.stopSending()
      exchange.upstream = undefined
      if (isReplayable && isReusable) traffic.keep(port, target)
      else target.destroy()
      relay.end()
      if (!isReplayable) drain(req)
    },
    onFailure(error) {
      exchange.upstream = undefined
      if (exchange.isSettled) breakOff(req)
      // A kept connection that was closed meanwhile says nothing about the request.
      else if (target.isUsed) dial(exchange)
      else fail(exchange, error)
    },
  }
}

/** The client has left, or has its answer. */
function leave(exchange: Exchange): void {
  exchange.isSettled = true
  exchange.dialing?.abort()
  exchange.stopSending()
  exchange.upstream?.destroy()
}

function fail(exchange: Exchange, error: unknown): void {
  exchange.stopSending()
  if (exchange.isSettled) return
  exchange.isSettled = true
  const { req, res, port, traffic, log } = exchange
  const { sandboxId } = traffic
  log.debug({ sandboxId, port, err: error }, 'A request into a sandbox got no answer.')
  sendAnswer(req, res, portFailure(sandboxId, port, error))
  drain(req)
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
