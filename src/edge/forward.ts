/**
 * One request into a sandbox and its answer back, both streamed.
 *
 *   client ──req──▶ edge ──outgoing──▶ server inside
 *          ◀──res──      ◀──answer───
 *
 * Until the answer begins a failure is an answer of the edge's own; after that it cuts the client's connection. Either
 * side leaving ends the other at once. There is no timeout here: an exchange is bounded by its client's patience and
 * by the sandbox's life, which has a deadline.
 */
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
  validateHeaderValue,
} from 'node:http'
import type { Log } from '../lib/log.ts'
import { portFailure, send } from './answer.ts'
import { cut } from './cut.ts'
import { answerHeaders, hasBody, requestHeaders } from './forward-headers.ts'
import { createInformant } from './informant.ts'
import type { Traffic } from './traffic.ts'

export interface ForwardOptions {
  req: IncomingMessage
  res: ServerResponse
  port: number
  traffic: Traffic
  /** Whether the client waits for the server inside to say `100 Continue` before it sends the body */
  awaitsContinue: boolean
  log: Log
}

/** Methods that may be sent twice (RFC 9110 9.2.2). */
const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** Forwards one request. Never throws: whatever happens ends in an answer or a cut connection. */
export function forward({ req, res, port, traffic, awaitsContinue, log }: ForwardOptions): void {
  const { sandboxId } = traffic
  const isReplayable = idempotentMethods.has(req.method ?? '') && !hasBody(req)
  const leaving = new AbortController()
  let outgoing: ClientRequest | undefined
  /** An answer has begun, or nobody is there to get one */
  let isSettled = false

  const leave = () => {
    isSettled = true
    leaving.abort()
    outgoing?.destroy()
  }
  const end = traffic.exchanges.begin(req.socket, leave)
  res.once('close', () => {
    end()
    if (!res.writableFinished) leave()
  })

  const fail = (error: unknown) => {
    if (isSettled) return
    isSettled = true
    log.debug({ sandboxId, port, err: error }, 'A request into a sandbox got no answer.')
    send(res, portFailure(sandboxId, port, error))
    drain(req)
  }

  const start = (mayReuse: boolean) => {
    const connection = mayReuse ? traffic.pooledConnection(port) : traffic.ownConnection(port, leaving)
    const sent = httpRequest({
      method: req.method,
      path: req.url,
      headers: requestHeaders(req),
      ...connection,
    })
    outgoing = sent
    sent.on('information', createInformant(req, res, awaitsContinue))
    sent.on('response', (answer) => {
      if (isSettled || !isSendable(answer)) {
        sent.destroy()
        return fail(new Error('The answer has characters that HTTP does not allow.'))
      }
      isSettled = true
      relay(answer, req, res)
      if (!mayReuse) answer.once('end', () => sent.destroy())
    })
    sent.on('upgrade', (_answer, stream) => {
      stream.destroy()
      fail(new Error('The answer is an upgrade that was not asked for.'))
    })
    sent.on('error', (error) => {
      const isStale = mayReuse && sent.reusedSocket
      if (isStale && !isSettled) start(false)
      else fail(error)
    })
    sent.once('close', () => {
      if (sent !== outgoing) return
      drain(req)
      fail(new Error('The connection closed before an answer.'))
    })
    sendBody(req, sent)
  }

  try {
    start(isReplayable)
  } catch (error) {
    fail(error)
  }
}

function sendBody(req: IncomingMessage, outgoing: ClientRequest): void {
  if (!hasBody(req)) {
    outgoing.end()
    return
  }
  req.pipe(outgoing)
  // The head goes out with the first bytes of the body if they are here already, and without them if not.
  setImmediate(() => outgoing.flushHeaders())
}

function relay(answer: IncomingMessage, req: IncomingMessage, res: ServerResponse): void {
  res.sendDate = false
  res.writeHead(answer.statusCode!, answer.statusMessage, answerHeaders(answer))
  answer.on('error', () => {
    // A length or chunks tell the client that something is missing; where the end of the connection is the end of
    // the body only a reset does.
    if (req.httpVersion === '1.0') cut(req.socket)
    else req.socket.destroy()
  })
  answer.pipe(res)
  setImmediate(() => res.flushHeaders())
}

/** Whether Node will send such an answer on: its parser lets more through than its writer. */
function isSendable(answer: IncomingMessage): boolean {
  try {
    validateHeaderValue('status', answer.statusMessage ?? '')
    for (let i = 1; i < answer.rawHeaders.length; i += 2) {
      validateHeaderValue('header', answer.rawHeaders[i]!)
    }
    return answer.statusCode !== undefined && answer.statusCode >= 200 && answer.statusCode <= 999
  } catch {
    return false
  }
}

/** Reads what is left of a body that nobody wants, so that the next request on the connection can be read. */
function drain(req: IncomingMessage): void {
  req.unpipe()
  req.resume()
}
