/**
 * Writes an answer of a server inside to the client as it comes. What has come in one piece goes out in one: small
 * answers are most of all, and each write costs as much as the rest of their way.
 */
import type { ServerResponse } from 'node:http'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { http2StreamOf } from './connection-of.ts'
import { answerHeaders, joinHeaders } from './forward-headers.ts'
import type { AnswerHead } from './upstream/answer-head.ts'

export interface Relay {
  /** Errors: Node's, for a head that it refuses to send on; nothing is sent then. */
  head(head: AnswerHead): void
  body(bytes: Buffer): void
  /** Sends what is held back. `hasRoom`: the client takes more now, else `res` says when by `drain`. */
  flush(): boolean
  end(): void
}

/** Bodies up to this many bytes are sent in one string with their head, which Node does in one write. */
const oneWriteMaxBytes = 8192

export function createRelay(req: HttpRequest, res: HttpResponse): Relay {
  const isHttp2 = http2StreamOf(req) !== undefined
  let held: Buffer | undefined
  let hasRoom = true
  let isHeadSent = isHttp2

  const sendHeld = () => {
    if (held === undefined) return
    hasRoom = res.write(held)
    held = undefined
    isHeadSent = true
  }
  return {
    head(head) {
      if (isHttp2) writeHttp2Head(res, head)
      else writeHead(res as ServerResponse, head)
    },
    body(bytes) {
      sendHeld()
      held = bytes
    },
    flush() {
      sendHeld()
      if (!isHeadSent) (res as ServerResponse).flushHeaders()
      isHeadSent = true
      return hasRoom
    },
    end() {
      if (held === undefined || isHeadSent || held.length > oneWriteMaxBytes) res.end(held)
      else res.end(held.toString('latin1'), 'latin1')
    },
  }
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
