/**
 * Writes an answer of a server inside to the client as it comes. What has come in one piece goes out in one: small
 * answers are most of all, and each write costs as much as the rest of their way.
 */
import type { ServerResponse } from 'node:http'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { http2StreamOf } from './connection-of.ts'
import { answerHeaders, joinHeaders } from './forward-headers.ts'
import type { AnswerHead } from './upstream/answer-head.ts'

/** Bodies up to this many bytes are sent in one string with their head, which Node does in one write. */
const oneWriteMaxBytes = 8192

/** A class, as every request makes one. */
export class Relay {
  readonly #res: HttpResponse
  readonly #isHttp2: boolean
  #held: Buffer | undefined
  #hasRoom = true
  #isHeadSent: boolean

  constructor(req: HttpRequest, res: HttpResponse) {
    this.#res = res
    this.#isHttp2 = http2StreamOf(req) !== undefined
    this.#isHeadSent = this.#isHttp2
  }

  /** Errors: Node's, for a head that it refuses to send on; nothing is sent then. */
  head(head: AnswerHead): void {
    if (this.#isHttp2) writeHttp2Head(this.#res, head)
    else writeHead(this.#res as ServerResponse, head)
  }

  body(bytes: Buffer): void {
    this.#sendHeld()
    this.#held = bytes
  }

  /** Sends what is held back. True: the client takes more now, else `res` says when by `drain`. */
  flush(): boolean {
    this.#sendHeld()
    if (!this.#isHeadSent) (this.#res as ServerResponse).flushHeaders()
    this.#isHeadSent = true
    return this.#hasRoom
  }

  end(): void {
    const held = this.#held
    if (held === undefined || this.#isHeadSent || held.length > oneWriteMaxBytes) this.#res.end(held)
    else endInOneWrite(this.#res as ServerResponse, held.toString('latin1'))
  }

  #sendHeld(): void {
    if (this.#held === undefined) return
    this.#hasRoom = this.#res.write(this.#held)
    this.#held = undefined
    this.#isHeadSent = true
  }
}

/** Given a body to end with, Node makes a second, empty piece of it, and a write of several pieces costs twice as much. */
function endInOneWrite(res: ServerResponse, body: string): void {
  const { socket } = res
  if (res.chunkedEncoding || socket === null) {
    res.end(body, 'latin1')
    return
  }
  socket.cork()
  res.write(body, 'latin1')
  socket.uncork()
  res.end()
}

/** In HTTP/1.1 nothing is sent before the first part of the body. */
function writeHead(res: ServerResponse, head: AnswerHead): void {
  res.sendDate = false
  try {
    res.writeHead(head.statusCode, head.statusMessage, answerHeaders(head))
  } catch (error) {
    res.sendDate = true
    throw error
  }
}

function writeHttp2Head(res: HttpResponse, head: AnswerHead): void {
  res.sendDate = false
  try {
    res.writeHead(head.statusCode, joinHeaders(answerHeaders(head)))
  } catch (error) {
    res.sendDate = true
    // Node keeps those that came before the one it refuses.
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    throw error
  }
}
