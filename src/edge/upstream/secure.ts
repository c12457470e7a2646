import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import { ServerError, toError } from '../../domain/error.ts'

/**
 * TLS on a stream into a sandbox, for servers that speak nothing else. Their certificates are not checked: they are
 * the sandbox's own, and so is whatever could be in between. Aborting `signal` ends the attempt. Errors: `internal`
 * (no TLS there), `canceled`, `deadline_exceeded`.
 */
export function secure(stream: Duplex, host: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const name = host.replace(/:\d*$/, '')
    const socket: TLSSocket = connect({
      socket: stream,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...(/^[a-z0-9._-]+$/i.test(name) && isIP(name) === 0 && { servername: name }),
    })
    const settle = () => {
      socket.off('error', fail)
      socket.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
    }
    const fail = (thrown: unknown) => {
      settle()
      // What the end of the attempt causes is no news.
      socket.on('error', () => {})
      socket.destroy()
      stream.destroy()
      reject(thrown)
    }
    const onClose = () =>
      fail(new ServerError('internal', 'The server inside ended the connection before it was encrypted.'))
    const onAbort = () => fail(toError(signal.reason))
    socket.once('error', fail)
    socket.once('close', onClose)
    socket.once('secureConnect', () => {
      settle()
      socket.once('close', () => stream.destroy())
      resolve(socket)
    })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
