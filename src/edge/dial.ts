import type { Duplex } from 'node:stream'
import { toError } from '../domain/error.ts'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { sleep } from '../lib/deadline.ts'

/** Pauses between tries at a closed port: a server inside may have been started a moment ago (e2b-wire 3.9). */
const pausesMs = [100, 200, 300, 400]
/** Bound of the whole, tries and pauses together. */
const dialTimeoutMs = 10_000

/**
 * A stream to a port inside, tried again while nobody listens there. Aborting `controller` ends it, and so does the
 * time limit, which aborts it. Errors: `unavailable` with `errno` `ECONNREFUSED` (closed after all tries),
 * `deadline_exceeded`, `canceled`, and those of `LiveSandbox.dial`.
 */
export async function dialPatiently(
  sandbox: LiveSandbox,
  port: number,
  controller: AbortController,
): Promise<Duplex> {
  const timer = setTimeout(
    () => controller.abort(new DOMException('Connecting took too long', 'TimeoutError')),
    dialTimeoutMs,
  )
  try {
    return await tryRepeatedly(sandbox, port, controller.signal)
  } finally {
    clearTimeout(timer)
  }
}

async function tryRepeatedly(sandbox: LiveSandbox, port: number, signal: AbortSignal): Promise<Duplex> {
  for (let attempt = 0; ; attempt++) {
    try {
      signal.throwIfAborted()
      return await sandbox.dial(port, signal)
    } catch (thrown) {
      const error = toError(signal.aborted ? signal.reason : thrown)
      const pauseMs = pausesMs[attempt]
      if (error.errno !== 'ECONNREFUSED' || pauseMs === undefined) throw error
      await sleep(pauseMs, signal).catch((reason) => Promise.reject(toError(reason)))
    }
  }
}
