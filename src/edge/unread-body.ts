/**
 * Answers that are given before the body of their request has come, which may never come. With a refusal clients are
 * told that the connection ends (`Connection: close`), what they still send is read and dropped for a while so that the answer
 * reaches them (a connection that is closed with bytes to be read is reset, and a reset takes the answer with it), and
 * then the connection, of HTTP/2 the stream, goes. The time is counted from the end of the answer, whatever is sent.
 */
import { type IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerRequest } from 'node:http2'
import type { Socket } from 'node:net'

/** How long what nobody wants is read after an answer, in milliseconds: of HTTP/1.1, and of a stream of HTTP/2. */
export interface LingerTimes {
  connectionMs: number
  /**
   * More, as it holds no descriptor, and Node's clients reject what else goes on over a connection when a stream ends
   * while they have more than 10 MB to send.
   */
  streamMs: number
}

export const defaultLinger: LingerTimes = { connectionMs: 10_000, streamMs: 60_000 }

/**
 * Ends a connection behind what has been written to it and `rest`, and closes it once the other side has ended too, at
 * the latest after that time. What still comes is dropped: no HTTP parser sees it any more.
 */
export function linger(socket: Socket, rest = '', timeoutMs = defaultLinger.connectionMs): void {
  if (socket.destroyed) return
  const destroy = () => socket.destroy()
  const timer = setTimeout(destroy, timeoutMs)
  socket.once('close', () => clearTimeout(timer))
  socket.once('end', destroy)
  if (socket.writable) socket.end(rest)
  // Node's parser reads past the socket until somebody listens. Where it waits for its reader it has stopped that, which
  // only its own listener to `resume` starts again, a tick later and before the parser goes.
  socket.resume()
  process.nextTick(() => {
    socket.removeAllListeners('data')
    socket.on('data', () => {})
    socket.resume()
  })
}

/** The class of a server's responses of HTTP/1 that does so. */
export function responseClass({ connectionMs }: LingerTimes): typeof ServerResponse {
  return class<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
    override writeHead(statusCode: number, ...rest: unknown[]): this {
      const { req } = this
      if (!req.complete && announcesBody(req)) {
        if (statusCode >= 400) this.shouldKeepAlive = false
        lingerAfter(req, this, connectionMs)
      }
      return super.writeHead(statusCode, ...(rest as [string]))
    }
  }
}

/** The same for one exchange of HTTP/2. */
export function lingerOnStream({ stream }: Http2ServerRequest, { streamMs }: LingerTimes): void {
  if (stream.endAfterHeaders) return
  stream.once('finish', () => {
    if (stream.readableEnded || stream.closed) return
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), streamMs)
    stream.once('close', () => clearTimeout(timer))
  })
}

function lingerAfter(req: IncomingMessage, res: ServerResponse, timeoutMs: number): void {
  const { socket } = req
  // This is what Node calls where an answer is the last of its connection. It would close at once.
  socket.destroySoon = () => linger(socket, '', timeoutMs)
  res.once('finish', () => {
    if (req.complete || socket.destroyed || !socket.writable) return
    const timer = setTimeout(() => socket.destroy(), timeoutMs)
    const stop = () => clearTimeout(timer)
    req.once('end', stop)
    socket.once('close', stop)
    req.resume()
  })
}

function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
