/**
 * Upgrades (WebSockets and others): once the server inside has switched protocols, two byte streams joined. Any other
 * answer is relayed as it is and ends the connection. The connection must not go on as HTTP then: its next request
 * may be another client's, when a proxy in front shares connections, and for another sandbox.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { type Duplex, pipeline } from 'node:stream'
import type { Log } from '../lib/log.ts'
import { endAndClose, portFailure, sendRaw } from './answer.ts'
import { cut } from './cut.ts'
import { answerHeaders, upgradeHeaders } from './forward-headers.ts'
import type { Traffic } from './traffic.ts'

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
export function tunnel({ req, socket, head, port, traffic, log }: TunnelOptions): void {
  const { sandboxId } = traffic
  const leaving = new AbortController()
  let outgoing: ClientRequest | undefined
  let isSettled = false

  const leave = () => {
    isSettled = true
    leaving.abort()
    outgoing?.destroy()
  }
  traffic.exchanges.begin(socket, leave)
  const stopWatching = watchForEnd(socket, () => {
    leave()
    socket.destroy()
  })
  const settle = () => {
    if (isSettled) return false
    isSettled = true
    clearTimeout(timer)
    stopWatching()
    return true
  }
  const fail = (error: unknown) => {
    if (!settle()) return
    log.debug({ sandboxId, port, err: error }, 'An upgrade into a sandbox got no answer.')
    sendRaw(socket, portFailure(sandboxId, port, error))
    outgoing?.destroy()
  }
  const timer = setTimeout(
    () => fail(new DOMException('The handshake took too long', 'TimeoutError')),
    handshakeTimeoutMs,
  )
  socket.once('close', () => clearTimeout(timer))

  try {
    outgoing = httpRequest({
      method: req.method,
      path: req.url,
      headers: upgradeHeaders(req),
      ...traffic.ownConnection(port, leaving),
    })
  } catch (error) {
    fail(error)
    return
  }
  outgoing.on('upgrade', (answer, stream, streamHead) => {
    if (!settle()) return stream.destroy()
    socket.write(headText(answer, answer.rawHeaders), 'latin1')
    if (streamHead.length > 0) socket.write(streamHead)
    if (head.length > 0) stream.write(head)
    join(socket, stream)
  })
  outgoing.on('response', (answer) => {
    if (!settle()) return answer.destroy()
    relayAndClose(answer, socket)
  })
  outgoing.on('error', fail)
  outgoing.once('close', () => fail(new Error('The connection closed before an answer.')))
  outgoing.end()
}

/** Joins two streams until both directions have ended; if one breaks, both do. */
function join(socket: Duplex, stream: Duplex): void {
  stream.once('error', () => cut(socket))
  // The outcome is the streams' own: by the time it is known there is nothing left to do.
  const done = () => {}
  pipeline(socket, stream, done)
  pipeline(stream, socket, done)
}

function relayAndClose(answer: IncomingMessage, socket: Duplex): void {
  socket.write(headText(answer, [...answerHeaders(answer), 'Connection', 'close']), 'latin1')
  answer.pipe(socket, { end: false })
  answer.once('end', () => endAndClose(socket))
  answer.on('error', () => cut(socket))
}

/** The head of an answer as text. No line can be smuggled in: Node's parser admits no line break in any part. */
function headText(answer: IncomingMessage, headers: readonly string[]): string {
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
