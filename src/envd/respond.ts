import type { OutgoingHttpHeaders } from 'node:http'
import type { ServerError } from '../domain/error.ts'
import type { HttpResponse } from '../domain/http.ts'
import { errorBody, httpStatus } from '../wire/error-map.ts'

export function sendJson(
  res: HttpResponse,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body))
  res.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': bytes.length })
  res.end(bytes)
}

/** Answers with a status that no error code stands for. */
export function sendStatus(
  res: HttpResponse,
  status: number,
  message: string,
  headers: OutgoingHttpHeaders = {},
): void {
  sendJson(res, status, errorBody(status, message), headers)
}

/**
 * Answers with an error; a response that has begun is cut, so that nobody takes it for a whole one. One that is complete
 * stays as it is: whoever took the sandbox away has answered.
 */
export function sendError(res: HttpResponse, error: ServerError): void {
  if (res.writableEnded) return
  if (res.headersSent) res.destroy()
  else sendStatus(res, httpStatus(error), error.message, retryHeaders(error))
}

function retryHeaders({ retryAfterS }: ServerError): OutgoingHttpHeaders {
  return retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }
}
