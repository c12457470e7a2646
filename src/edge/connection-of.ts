import type { ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { HttpRequest } from '../domain/http.ts'

/**
 * What carries a request and breaks with it: the client's connection, in HTTP/2 the request's own stream of it. Many
 * requests share an HTTP/2 connection, and no one of them may end it.
 */
export function connectionOf(req: HttpRequest): Duplex {
  return http2StreamOf(req) ?? req.socket
}

/** The stream of an HTTP/2 request; undefined for HTTP/1. */
export function http2StreamOf(req: HttpRequest): ServerHttp2Stream | undefined {
  return 'stream' in req ? (req.stream as ServerHttp2Stream) : undefined
}
