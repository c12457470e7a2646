import { connect, type NetConnectOpts, type Socket } from 'node:net'
import type { Landing } from './landing.ts'

/**
 * A connected socket, half-open (each side ends on its own). Rejects with the system's error, or the signal's reason
 * when it aborts first; afterwards the signal means nothing to the socket. With a `landing` what comes is found there, and
 * the socket itself gives nothing.
 */
export function connectSocket(
  address: NetConnectOpts,
  signal: AbortSignal,
  landing?: Landing,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const socket = connect({ ...address, allowHalfOpen: true, ...(landing && { onread: landing.onread }) })
    const settle = () => {
      socket.removeListener('error', onError)
      signal.removeEventListener('abort', onAbort)
    }
    const onError = (error: Error) => {
      settle()
      reject(error)
    }
    const onAbort = () => {
      settle()
      socket.once('error', () => {})
      socket.destroy()
      reject(signal.reason)
    }
    socket.once('error', onError)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', () => {
      settle()
      resolve(socket)
    })
  })
}
