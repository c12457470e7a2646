/**
 * Writes an answer of a server inside to the client as it comes. What has come in one piece goes out in one: small
 * answers are most of all, and each write costs as much as the rest of their way.
 */
import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { http2StreamOf } from './connection-of.ts'
import { answerHeaders, joinHeaders } from './forward-headers.ts'
import type { AnswerHead } from './upstream/answer-head.ts'

/** Bodies up to this many bytes are sent in one string with their head, which Node does in one write. */
const oneWriteMaxBytes = 8192

/** Relays one answer. A class, as every request makes one. */
export class Relay {
  readonly #res: HttpResponse
  /** Of HTTP/2: used directly, as what its compatibility API adds to each answer costs more than the answer */
  readonly #stream: ServerHttp2Stream | undefined
  #held: Buffer | undefined
  #hasRoom = true
  #isHeadSent: boolean

  constructor(req: HttpRequest, res: HttpResponse) {
    this.#res = res
    this.#stream = http2StreamOf(req)
    this.#isHeadSent = this.#stream !== undefined
  }

  /** Errors: Node's, for a head that it refuses to send on; nothing is sent then. */
  head(head: AnswerHead): void {
    if (this.#stream === undefined) writeHead(this.#res as ServerResponse, head)
    else respond(this.#stream, head)
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
    if (this.#stream !== undefined) this.#stream.end(held)
    else if (held === undefined || this.#isHeadSent || held.length > oneWriteMaxBytes) this.#res.end(held)
    else endInOneWrite(this.#res as ServerResponse, held.toString('latin1'))
  }

  #sendHeld(): void {
    if (this.#held === undefined) return
    this.#hasRoom = (this.#stream ?? this.#res).write(this.#held)
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

/** Node's types don't have this option, by which its own compatibility API leaves out the date. */
const withoutDate: ServerStreamResponseOptions & { sendDate: boolean } = { sendDate: false }

function respond(stream: ServerHttp2Stream, head: AnswerHead): void {
  if (stream.destroyed || stream.closed) return
  const headers = joinHeaders(answerHeaders(head))
  headers[':status'] = String(head.statusCode)
  stream.respond(headers, withoutDate)
}
