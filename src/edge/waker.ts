/**
 * Waking paused sandboxes by traffic. Anybody may ask for any id, so what waits is bounded, and requests that bring the
 * same share one attempt.
 */

import { ServerError } from '../domain/error.ts'
import type { LiveSandbox, WakeRequest, WakeSandbox } from '../domain/live-sandbox.ts'
import { isMadeHere } from '../domain/sandbox-id.ts'
import { abortable } from '../lib/deadline.ts'
import { startPatience } from '../lib/patience.ts'

/** How long a request waits for its sandbox, in milliseconds. */
const wakeTimeoutMs = 60_000
/** Attempts at once: for one sandbox, each with other tokens or another port, and for all. */
const sandboxMaxAttempts = 16
const maxAttempts = 1024
/** Requests that wait for one sandbox. */
const sandboxMaxWaiting = 1024

interface Attempt {
  outcome: Promise<LiveSandbox | undefined>
  controller: AbortController
  waiting: number
}

interface Waking {
  attempts: Map<string, Attempt>
  waiting: number
}

/**
 * Bounds and shares `wake`. Aborting `signal` ends the wait, and the attempt with the last that waits for it. Errors:
 * those of `WakeSandbox`; `resource_exhausted` when too many wait.
 */
export function createWaker(wake: WakeSandbox, timeoutMs = wakeTimeoutMs): WakeSandbox {
  const bySandbox = new Map<string, Waking>()
  let count = 0

  const begin = (id: string, request: WakeRequest): Attempt => {
    count++
    const controller = new AbortController()
    const patience = startPatience(timeoutMs, () =>
      controller.abort(new ServerError('deadline_exceeded', 'The sandbox did not wake up in time.')),
    )
    const woken = Promise.resolve().then(() => wake(id, request, controller.signal))
    const outcome = abortable(woken, controller.signal).finally(() => patience.stop())
    // Each of those that wait has a promise of its own; with none left nobody would hear of a failure.
    outcome.catch(() => {})
    return { outcome, controller, waiting: 0 }
  }

  return async (id, request, signal) => {
    signal.throwIfAborted()
    if (!isMadeHere(id)) return undefined
    const waking = bySandbox.get(id) ?? { attempts: new Map(), waiting: 0 }
    const key = JSON.stringify([request.port, request.accessToken, request.trafficAccessToken])
    const known = waking.attempts.get(key)
    const isFull =
      waking.waiting >= sandboxMaxWaiting ||
      (known === undefined && (waking.attempts.size >= sandboxMaxAttempts || count >= maxAttempts))
    if (isFull) {
      const message = 'Too many requests wait for sandboxes to wake up. Try again in a moment.'
      throw new ServerError('resource_exhausted', message)
    }
    const attempt = known ?? begin(id, request)
    bySandbox.set(id, waking)
    waking.attempts.set(key, attempt)
    waking.waiting++
    attempt.waiting++
    const end = () => {
      if (waking.attempts.get(key) !== attempt) return
      waking.attempts.delete(key)
      count--
    }
    try {
      return await abortable(attempt.outcome.finally(end), signal)
    } finally {
      waking.waiting--
      attempt.waiting--
      if (attempt.waiting === 0) {
        end()
        attempt.controller.abort(new DOMException('Nobody waits for it any more.', 'AbortError'))
      }
      if (waking.waiting === 0) bySandbox.delete(id)
    }
  }
}
