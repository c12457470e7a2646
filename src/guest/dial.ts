import type { Duplex } from 'node:stream'
import { openStream } from './exchange.ts'
import type { Guest } from './guest.ts'

export interface DialRequest {
  /** 1 … 65535 */
  port: number
  /** Absent: the sandbox's loopback, then its other addresses */
  host?: string
}

/**
 * A raw byte stream to a TCP port inside, half-close included. The signal counts until it is there; then the stream
 * is the caller's, who listens for its errors. Errors: `unavailable`, with `errno` `ECONNREFUSED` where nobody
 * listens; `invalid_argument`, `canceled`.
 */
export async function dial(guest: Guest, request: DialRequest, signal: AbortSignal): Promise<Duplex> {
  const { call } = await openStream(guest, { ...request, op: 'dial' }, { signal }, () => undefined)
  return call.detach()
}
