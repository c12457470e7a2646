import type { HttpRequest } from '../domain/http.ts'

/** How long the rest of a refused request is read and dropped, so that its client sees the refusal, in milliseconds. */
const drainTimeoutMs = 10_000

/**
 * Reads and drops what a client still sends, for a while; then its connection goes. Resolves when nothing more comes.
 */
export function drain(req: HttpRequest, timeoutMs = drainTimeoutMs): Promise<void> {
  // Even a request that has come whole holds its connection until it is read to its end.
  if (req.readableEnded || req.destroyed) return Promise.resolve()
  req.unpipe()
  // An iteration that was given up still listens, and as long as somebody does, resuming has no effect.
  // With none, taking them away would stop what an earlier call has begun.
  if (req.listenerCount('readable') > 0) req.removeAllListeners('readable')
  req.resume()
  return new Promise((resolve) => {
    const timer = setTimeout(() => req.destroy(), timeoutMs)
    const settle = () => {
      clearTimeout(timer)
      resolve()
    }
    req.once('end', settle)
    req.once('close', settle)
  })
}
