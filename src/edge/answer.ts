/**
 * The edge's own answers: JSON, with the status in `code` as well, which is where clients look; for browsers that open
 * an address a page.
 */
import { STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { toError } from '../domain/error.ts'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { corsHeaders } from '../wire/cors.ts'
import { httpStatus } from '../wire/error-map.ts'
import { type ErrorPage, pageHeaders, renderPage, wantsPage } from './error-page.ts'
import { linger } from './unread-body.ts'

export interface Answer {
  status: number
  body: { code: number; message: string; [field: string]: unknown }
  /** What a person is told; absent: the status and the message */
  page?: ErrorPage
  /** When it may be tried again, in seconds */
  retryAfterS?: number
}

/** Carries the secret that traffic to ports must show; exact, as clients show its name to people. */
export const trafficTokenHeader = 'e2b-traffic-access-token'

/** For a request that names no sandbox it could be for. */
export function routeError(status: number, message: string): Answer {
  return { status, body: { code: status, message } }
}

/** For every port of a sandbox that takes no traffic. 502 is what clients read as "not running" (e2b-wire 3.9). */
export function sandboxNotFound(sandboxId: string): Answer {
  const page = {
    title: 'Sandbox Not Found',
    text: `Sandbox ${sandboxId} is not running. It may have ended, or have never been there.`,
  }
  return { status: 502, body: { sandboxId, message: 'The sandbox was not found', code: 502 }, page }
}

/** For a port that asks for a traffic token which the request doesn't have. */
export function trafficTokenError(sandboxId: string, lack: 'missing' | 'invalid'): Answer {
  const what =
    lack === 'missing'
      ? `Token header '${trafficTokenHeader}' is missing`
      : `Provided token in header '${trafficTokenHeader}' is invalid`
  const message = `Sandbox is secured with traffic access token. ${what}`
  const page = {
    title: lack === 'missing' ? 'Missing Traffic Access Token' : 'Invalid Traffic Access Token',
    text: `Sandbox ${sandboxId} is secured with a traffic access token. ${what}.`,
  }
  return { status: 403, body: { sandboxId, message, code: 403 }, page }
}

/** For a sandbox that has as many connections as it may have. */
export function tooManyConnections(sandboxId: string, port: number): Answer {
  return { status: 429, body: { sandboxId, message: tooMany, port, code: 429 }, retryAfterS: 1 }
}

/** For a server that has as many connections as it may have, whoever's they are. */
export const serverFull: Answer = {
  ...routeError(503, 'The server has too many open connections. Try again in a moment.'),
  retryAfterS: 1,
}

/** For a sandbox that wasn't woken. `thrown` is what waking it failed with. */
export function wakeFailure(sandboxId: string, thrown: unknown): Answer {
  const error = toError(thrown)
  const status = httpStatus(error)
  return { status, body: { sandboxId, message: error.message, code: status } }
}

/** For a port that gave no answer. `thrown` is what connecting or the exchange failed with. */
export function portFailure(sandboxId: string, port: number, thrown: unknown): Answer {
  const { status, message } = describeFailure(thrown)
  const answer: Answer = { status, body: { sandboxId, message, port, code: status } }
  if (message !== notOpen) return answer
  const text = `Sandbox ${sandboxId} is running, but there is no service running on port ${port} in it.`
  return { ...answer, page: { title: 'Port Not Open', text } }
}

const tooMany = 'The sandbox has too many open connections: close some and try again'
const notOpen = 'The sandbox is running but port is not open'

function describeFailure(thrown: unknown): { status: number; message: string } {
  const error = toError(thrown)
  if (error.errno === 'ECONNREFUSED') return { status: 502, message: notOpen }
  if (error.code === 'resource_exhausted') return { status: 429, message: tooMany }
  if (error.code === 'deadline_exceeded') {
    return { status: 504, message: 'The sandbox is running but the port did not answer in time' }
  }
  if (error.code === 'invalid_argument') return { status: 400, message: error.message }
  if (error.code === 'internal') {
    return {
      status: 502,
      message: 'The server on this port ended the connection without a valid HTTP answer',
    }
  }
  return { status: 502, message: 'The sandbox is running but could not be reached' }
}

/** Sends an answer to a request, in the form that its client shows best. */
export function send(req: Pick<HttpRequest, 'headers'>, res: HttpResponse, answer: Answer): void {
  const { text, headers } = wantsPage(req.headers) ? asPage(answer) : asJson(answer)
  res.writeHead(answer.status, { ...corsHeaders(req), ...retryAfter(answer.status), ...headers })
  res.end(text)
}

/** What is busy may be tried again in a second: clients only do if they are told. */
function retryAfter(status: number): Record<string, string> {
  return status === 429 || status === 503 ? { 'Retry-After': '1' } : {}
}

/** Sends an answer on a bare connection and closes it. */
export function sendRaw(socket: Duplex, answer: Answer): void {
  const { status } = answer
  const { text, headers } = asJson(answer)
  const lines = Object.entries({ ...headers, Connection: 'close' })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
  endAndClose(socket, `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}\r\n${text}`)
}

/** Writes what is left and closes both directions once that is out, a connection once it can have been read. */
export function endAndClose(connection: Duplex, rest = ''): void {
  if (connection instanceof Socket) linger(connection, rest)
  else connection.end(rest, () => connection.destroy())
}

/** An answer as text, and the headers that it goes out with. */
interface Rendered {
  text: string
  headers: Record<string, string>
}

export function asJson(answer: Answer): Rendered {
  const text = JSON.stringify(answer.body)
  return {
    text,
    headers: { 'Content-Type': 'application/json; charset=utf-8', ...commonHeaders(answer, text) },
  }
}

function asPage(answer: Answer): Rendered {
  const { status, body, page } = answer
  const title = STATUS_CODES[status] ?? String(status)
  const text = renderPage(page ?? { title, text: body.message }, status)
  return { text, headers: { ...pageHeaders, ...commonHeaders(answer, text) } }
}

function commonHeaders({ retryAfterS }: Answer, text: string): Record<string, string> {
  const length = { 'Content-Length': String(Buffer.byteLength(text)) }
  return retryAfterS === undefined ? length : { ...length, 'Retry-After': String(retryAfterS) }
}
