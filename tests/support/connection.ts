import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** A bare connection to where a URL leads, encrypted if it says so, for HTTP/1.1. */
export function openConnection(url: string): Socket {
  const { protocol, hostname, port } = new URL(url)
  if (protocol === 'http:') return connect(Number(port || 80), hostname)
  const options = { host: hostname, servername: hostname, ALPNProtocols: ['http/1.1'] }
  return connectTls({ ...options, port: Number(port || 443) })
}
