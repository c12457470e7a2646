import type { Socket } from 'node:net'
import { startPatience } from '../lib/patience.ts'

/** What a client that knows it speaks to HTTP/2 sends first (RFC 9113 3.4). No HTTP/1 request begins like it. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export interface DetectOptions {
  /** Time for the bytes that decide, in milliseconds; then the connection is closed */
  timeoutMs: number
  /** Called once, unless the connection goes before; its bytes are all still to be read, and it is paused */
  onDetected(isHttp2: boolean): void
  /** Called in its place where the client begins TLS, which is not spoken here; the connection is closed */
  onTls(): void
}

/** The first byte of a TLS handshake (RFC 8446 5.1), which no HTTP begins with. */
const tlsHandshake = 0x16

/** Tells HTTP/2 from HTTP/1 by the first bytes of a new connection. Keeps no more of them than the preface has. */
export function detectHttp2(socket: Socket, { timeoutMs, onDetected, onTls }: DetectOptions): void {
  let first: Buffer | undefined
  const stop = () => {
    patience.stop()
    socket.off('data', onData)
    socket.off('end', giveUp)
    socket.off('error', giveUp)
    socket.off('close', stop)
  }
  const giveUp = () => {
    stop()
    socket.destroy()
  }
  const onData = (bytes: Buffer) => {
    if (first === undefined && bytes[0] === tlsHandshake) {
      giveUp()
      return onTls()
    }
    first = first === undefined ? bytes : Buffer.concat([first, bytes])
    const length = Math.min(first.length, preface.length)
    const isHttp2 = first.compare(preface, 0, length, 0, length) === 0
    if (isHttp2 && length < preface.length) return
    stop()
    socket.pause()
    socket.unshift(first)
    onDetected(isHttp2)
  }
  const patience = startPatience(timeoutMs, giveUp)
  socket.on('data', onData)
  socket.on('end', giveUp)
  socket.on('error', giveUp)
  socket.on('close', stop)
}
