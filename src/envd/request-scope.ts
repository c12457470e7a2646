import { ServerError } from '../domain/error.ts'
import type { HttpResponse } from '../domain/http.ts'

/** How long a request may hold what it uses. */
export interface RequestScope {
  /** Aborts, with a `ServerError`, when the response is over, its client has left or the sandbox is gone */
  signal: AbortSignal
  /** Aborts the signal with `deadline_exceeded` after that time in milliseconds. The last call counts. */
  limit(timeoutMs: number): void
}

/** The longest time that one timer can measure, in milliseconds: setTimeout takes longer ones for 1. */
const timerMaxMs = 2 ** 31 - 1

/** Made once: errors gather a stack, and every scope ends. */
const clientLeft = new ServerError('canceled', 'The client has left.')
const sandboxGone = new ServerError('unavailable', 'The sandbox is gone.')

export function createRequestScope(res: HttpResponse, gone: AbortSignal): RequestScope {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined

  const onClose = () => end(clientLeft)
  const onGone = () => end(sandboxGone)

  function end(reason: ServerError): void {
    clearTimeout(timer)
    res.off('close', onClose)
    gone.removeEventListener('abort', onGone)
    controller.abort(reason)
  }

  function limit(timeoutMs: number): void {
    clearTimeout(timer)
    if (controller.signal.aborted) return
    timer = setTimeout(
      () => {
        if (timeoutMs > timerMaxMs) limit(timeoutMs - timerMaxMs)
        else end(new ServerError('deadline_exceeded', 'The time limit of the request has passed.'))
      },
      Math.min(timeoutMs, timerMaxMs),
    )
  }

  if (res.destroyed) onClose()
  else if (gone.aborted) onGone()
  else {
    res.once('close', onClose)
    gone.addEventListener('abort', onGone, { once: true })
  }
  return { signal: controller.signal, limit }
}
