/**
 * Upgrades (WebSockets and others): once the server inside has switched protocols, two byte streams joined. Any other
 * answer is relayed as it is and ends the connection. The connection must not go on as HTTP then: its next request
 * may be another client's, when a proxy in front shares connections, and for another sandbox.
 */
import type { IncomingMessage } from 'node:http'
import { type Duplex, pipeline } from 'node:stream'
import type { Log } from '../lib/log.ts'
import { endAndClose, portFailure, sendRaw } from './answer.ts'
import { cut } from './cut.ts'
import { answerHeaders, upgradeHeaders } from './forward-headers.ts'
import type { Traffic } from './traffic.ts'
import type { AnswerHead } from './upstream/answer-head.ts'
import { requestHead } from './upstream/request-head.ts'
import type { ExchangeEvents, Upstream } from './upstream/upstream.ts'

/** How long a server inside may take to answer an upgrade. */
const handshakeTimeoutMs = 60_000

export interface TunnelOptions {
  req: IncomingMessage
  /** The client's connection, as Node's `upgrade` event gives it */
  socket: Duplex
  /** What the client has sent behind the request */
  head: Buffer
  port: number
  traffic: Traffic
  log: Log
}

/** Serves one upgrade. Never throws: whatever happens ends in a tunnel, an answer or a cut connection. */
export function tunnel(options: TunnelOptions): void {
  const { req, socket, port, traffic, log } = options
  const { sandboxId } = traffic
  const dialing = new AbortController()
  let upstream: Upstream | undefined
  let isSettled = false

  const leave = () => {
    isSettled = true
    dialing.abort()
    upstream?.destroy()
  }
  traffic.exchanges.begin(socket, leave)
  const stopWatching = watchForEnd(socket, () => {
    leave()
    socket.destroy()
  })
  const settle = () => {
    isSettled = true
    clearTimeout(timer)
    stopWatching()
  }
  const fail = (error: unknown) => {
    if (isSettled) return
    settle()
    log.debug({ sandboxId, port, err: error }, 'An upgrade into a sandbox got no answer.')
    sendRaw(socket, portFailure(sandboxId, port, error))
    upstream?.destroy()
  }
  const timer = setTimeout(
    () => fail(new DOMException('The handshake took too long', 'TimeoutError')),
    handshakeTimeoutMs,
  )
  socket.once('close', () => clearTimeout(timer))

  const ask = (target: Upstream, question: string) => {
    if (isSettled) return target.destroy()
    upstream = target
    target.begin(req.method, answerEvents(options, target, { settle, fail }))
    target.stream.write(question, 'latin1')
  }
  try {
    const question = requestHead(req, upgradeHeaders(req))
    traffic.connect(port, dialing).then((target) => ask(target, question), fail)
  } catch (error) {
    fail(error)
  }
}

function answerEvents(
  { socket, head }: TunnelOptions,
  target: Upstream,
  { settle, fail }: { settle(): void; fail(error: unknown): void },
): ExchangeEvents {
  let hasBegun = false
  const begin = (text: string) => {
    hasBegun = true
    settle()
    socket.write(text, 'latin1')
  }
  const resume = () => target.stream.resume()
  return {
    onInformation() {},
    onUpgrade(answer, firstBytes) {
      begin(headText(answer, answer.rawHeaders))
      const stream = target.detach()
      if (firstBytes.length > 0) socket.write(firstBytes)
      if (head.length > 0) stream.write(head)
      join(socket, stream)
    },
    onHead(answer) {
      begin(headText(answer, [...answerHeaders(answer), 'Connection', 'close']))
    },
    onBody(bytes) {
      if (socket.write(bytes)) return
      target.stream.pause()
      socket.once('drain', resume)
    },
    onPause() {},
    onEnd() {
      target.destroy()
      endAndClose(socket)
    },
    onFailure(error) {
      if (hasBegun) cut(socket)
      else fail(error)
    },
  }
}

/** Joins two streams until both directions have ended; if one breaks, both do. */
function join(socket: Duplex, stream: Duplex): void {
  stream.once('error', () => cut(socket))
  // The outcome is the streams' own: by the time it is known there is nothing left to do.
  const done = () => {}
  pipeline(socket, stream, done)
  pipeline(stream, socket, done)
}

/** The head of an answer as text. No line can be smuggled in: a part that has a line break is two parts by now. */
function headText(answer: AnswerHead, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n`
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `${text}\r\n`
}

/** Notices that the other side has ended a stream which nobody reads yet. The result stops watching. */
function watchForEnd(stream: Duplex, onEnd: () => void): () => void {
  const look = () => {
    // Data stays for whoever reads later; with none left this is what makes a stream say that it has ended.
    if (stream.readableLength === 0) stream.read(0)
  }
  stream.on('readable', look)
  stream.once('end', onEnd)
  return () => {
    stream.off('readable', look)
    stream.off('end', onEnd)
  }
}
