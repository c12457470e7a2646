/** The edge's own answers: always JSON, with the status in `code` as well, which is where clients look. */
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { toError } from '../domain/error.ts'
import type { HttpResponse } from '../domain/http.ts'

export interface Answer {
  status: number
  body: Record<string, unknown>
}

/** For a request that names no sandbox it could be for. */
export function routeError(status: number, message: string): Answer {
  return { status, body: { code: status, message } }
}

/** For every port of a sandbox that takes no traffic. 502 is what clients read as "not running" (e2b-wire 3.9). */
export function sandboxNotFound(sandboxId: string): Answer {
  return { status: 502, body: { sandboxId, message: 'The sandbox was not found', code: 502 } }
}

/** For a port that gave no answer. `thrown` is what connecting or the exchange failed with. */
export function portFailure(sandboxId: string, port: number, thrown: unknown): Answer {
  const { status, message } = describeFailure(thrown)
  return { status, body: { sandboxId, message, port, code: status } }
}

function describeFailure(thrown: unknown): { status: number; message: string } {
  const error = toError(thrown)
  if (error.errno === 'ECONNREFUSED') {
    return { status: 502, message: 'The sandbox is running but port is not open' }
  }
  if (error.code === 'resource_exhausted') {
    return { status: 429, message: 'The sandbox has too many open connections: close some and try again' }
  }
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

/** Sends an answer through Node's response. */
export function send(res: HttpResponse, { status, body }: Answer): void {
  const text = JSON.stringify(body)
  res.writeHead(status, headersFor(text))
  res.end(text)
}

/** Sends an answer on a bare connection and closes it. */
export function sendRaw(socket: Duplex, { status, body }: Answer): void {
  const text = JSON.stringify(body)
  const headers = Object.entries({ ...headersFor(text), Connection: 'close' })
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  endAndClose(socket, `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}\r\n${text}`)
}

/** Writes what is left and closes both directions once that is out. */
export function endAndClose(socket: Duplex, rest = ''): void {
  socket.end(rest, () => socket.destroy())
}

function headersFor(text: string) {
  return { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) }
}
