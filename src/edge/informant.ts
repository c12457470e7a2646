import type { ServerResponse } from 'node:http'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { http2StreamOf } from './connection-of.ts'
import type { AnswerHead } from './upstream/answer-head.ts'

/** Informational answers passed on per request: they come before the answer, where nothing slows a sender down. */
const maxInformational = 16

/**
 * Passes informational answers of the server inside on to the client: 100 where the client waits for it, 102, and the
 * links of 103.
 */
export function createInformant(
  req: HttpRequest,
  res: HttpResponse,
  awaitsContinue: boolean,
): (info: AnswerHead) => void {
  let passedOn = 0
  return (info) => {
    if (req.httpVersion === '1.0' || res.headersSent || res.destroyed || passedOn >= maxInformational) return
    passedOn++
    if (info.statusCode === 100 && awaitsContinue) res.writeContinue()
    if (info.statusCode === 102) sendProcessing(req, res)
    if (info.statusCode === 103) sendHints(res, info)
  }
}

function sendProcessing(req: HttpRequest, res: HttpResponse): void {
  const stream = http2StreamOf(req)
  if (stream === undefined) (res as ServerResponse).writeProcessing()
  else stream.additionalHeaders({ ':status': 102 })
}

function sendHints(res: HttpResponse, { names, rawHeaders }: AnswerHead): void {
  const link = rawHeaders.filter((_, i) => i % 2 === 1 && names[(i - 1) / 2] === 'link')
  try {
    res.writeEarlyHints({ link })
  } catch {
    // Node refuses links of an unusual form. They are hints: the answer says the same again.
  }
}
