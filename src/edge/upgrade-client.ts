/**
 * The client's side of an upgrade. HTTP/1.1 hands its whole connection over; HTTP/2 has WebSockets only, each on a
 * stream of its own (extended CONNECT, RFC 8441), with the handshake that HTTP/1.1 needs left out.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { HttpRequest } from '../domain/http.ts'
import { type Answer, asJson, endAndClose, sendRaw } from './answer.ts'
import { answerHeaders, joinHeaders, requestHeaders } from './forward-headers.ts'
import type { AnswerHead } from './upstream/answer-head.ts'
import { requestHead } from './upstream/request-head.ts'

export interface UpgradeClient {
  readonly req: HttpRequest
  /** What carries the request, and afterwards the bytes of both sides */
  readonly stream: Duplex
  /** What the client has sent behind the request */
  readonly firstBytes: Buffer
  /** Of the request as it goes inside */
  readonly method: string | undefined
  /** The request as it goes inside; `mask` is that of `requestHeaders`. Errors: `invalid_argument`. */
  question(mask: string | null): string
  /** Passes on that the server inside has switched. Errors: an `Error` for an answer to another question. */
  accept(answer: AnswerHead): void
  /** Begins any other answer; its body is written to the stream. */
  begin(answer: AnswerHead): void
  /** Answers in place of the server inside. */
  refuse(answer: Answer): void
}

/** For what Node's `upgrade` event gives. */
export function http1Upgrade(req: IncomingMessage, socket: Duplex, firstBytes: Buffer): UpgradeClient {
  const write = (answer: AnswerHead, headers: readonly string[]) =>
    socket.write(headText(answer, headers), 'latin1')
  return {
    req,
    stream: socket,
    firstBytes,
    method: req.method,
    question(mask) {
      const headers = requestHeaders(req, mask, { isUpgrade: true })
      return requestHead(req, [...headers, 'Connection', 'Upgrade', 'Upgrade', req.headers.upgrade ?? ''])
    },
    accept: (answer) => write(answer, answer.rawHeaders),
    begin: (answer) => write(answer, [...answerHeaders(answer), 'Connection', 'close']),
    refuse: (answer) => sendRaw(socket, answer),
  }
}

/** For an extended CONNECT that asks for a WebSocket. */
export function http2WebSocket(req: Http2ServerRequest): UpgradeClient {
  const { stream } = req
  const key = randomBytes(16).toString('base64')
  const respond = (status: number, headers: readonly string[]) =>
    stream.respond({ ...joinHeaders(headers), ':status': status })
  return {
    req,
    stream,
    firstBytes: Buffer.alloc(0),
    method: 'GET',
    question(mask) {
      const headers = requestHeaders(req, mask, { isUpgrade: true })
      headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Key', key)
      return requestHead({ method: 'GET', url: req.url }, headers)
    },
    accept(answer) {
      const headers = answerHeaders(answer)
      const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'sec-websocket-accept')
      if (at === -1 || headers[at + 1] !== acceptFor(key)) {
        throw new Error('The server inside did not answer to the WebSocket handshake it was sent.')
      }
      headers.splice(at, 2)
      respond(200, headers)
    },
    begin: (answer) => respond(answer.statusCode, answerHeaders(answer)),
    refuse(answer) {
      if (stream.destroyed) return
      const { text, headers } = asJson(answer)
      respond(answer.status, Object.entries(headers).flat())
      endAndClose(stream, text)
    },
  }
}

/** What a server makes of a handshake's key (RFC 6455 4.2.2). */
function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** The head of an answer as text. No line can be smuggled in: a part that has a line break is two parts by now. */
function headText(answer: AnswerHead, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n`
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `${text}\r\n`
}
