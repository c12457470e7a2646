import type { HttpRequest } from '../domain/http.ts'

/** How long the rest of a refused request is read and dropped, so that its client sees the refusal, in milliseconds. */
const drainTimeoutMs = 10_000

/** Reads and drops what a client still sends, for a while; then its connection goes. */
export function drain(req: HttpRequest): void {
  // Even a request that has come whole holds its connection until it is read to its end.
  if (req.readableEnded || req.destroyed) return
  req.unpipe()
  // An iteration that was given up still listens, and as long as somebody does, resuming has no effect.
  req.removeAllListeners('readable')
  req.resume()
  const timer = setTimeout(() => req.destroy(), drainTimeoutMs)
  req.once('close', () => clearTimeout(timer))
}
