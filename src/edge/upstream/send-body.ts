import type { Duplex } from 'node:stream'
import type { HttpRequest } from '../../domain/http.ts'

/**
 * Sends a request's body behind its head, with chunks around it where it has no length. As much is in flight as
 * `stream` takes. `onSent`: all of it has been written. The result stops it; whoever stops it, or leaves, sees to the
 * rest of the body.
 */
export function sendBody(
  req: HttpRequest,
  stream: Duplex,
  { isChunked, onSent }: { isChunked: boolean; onSent: () => void },
): () => void {
  const onData = (bytes: Buffer) => {
    let hasRoom: boolean
    if (isChunked) {
      stream.cork()
      stream.write(`${bytes.length.toString(16)}\r\n`, 'latin1')
      stream.write(bytes)
      hasRoom = stream.write('\r\n', 'latin1')
      stream.uncork()
    } else hasRoom = stream.write(bytes)
    if (!hasRoom) req.pause()
  }
  const onDrain = () => req.resume()
  const onEnd = () => {
    stop()
    if (isChunked) stream.write('0\r\n\r\n', 'latin1')
    onSent()
  }
  const stop = () => {
    req.off('data', onData)
    req.off('end', onEnd)
    stream.off('drain', onDrain)
  }
  stream.on('drain', onDrain)
  req.on('end', onEnd)
  req.on('data', onData)
  return stop
}
