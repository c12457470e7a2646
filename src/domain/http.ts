/**
 * Requests and responses of either HTTP version: what Node's classes for HTTP/1.1 and for HTTP/2 have in common, which
 * is all that the server uses of them.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable, Writable } from 'node:stream'

type RequestHead = Pick<
  IncomingMessage,
  'complete' | 'headers' | 'httpVersion' | 'httpVersionMajor' | 'method' | 'rawHeaders' | 'socket' | 'url'
>

/** `headers.host` is the name that the client asked for in both versions. Destroying one breaks its exchange off. */
export interface HttpRequest extends Readable, RequestHead {}

type ResponseHead = Pick<
  ServerResponse,
  | 'getHeader'
  | 'getHeaderNames'
  | 'getHeaders'
  | 'hasHeader'
  | 'headersSent'
  | 'removeHeader'
  | 'sendDate'
  | 'socket'
  | 'statusCode'
  | 'writeContinue'
  | 'writeEarlyHints'
>

/** Destroying one breaks it off, so that its client doesn't take it for whole. In HTTP/2 a status has no message. */
export interface HttpResponse extends Writable, ResponseHead {
  setHeader(name: string, value: number | string | readonly string[]): unknown
  writeHead(statusCode: number, headers?: OutgoingHttpHeaders): this
  setTimeout(milliseconds: number, callback?: () => void): unknown
}
